"""How a message looks, and which room sees to it. Whoever adds one keeps to this; tests hold every event and every
command to it (tests/property/test_first_lines.py, tests/unit/test_style.py).

1.  The first line is all that a lock screen and a watch show: an emoji, then in bold the asset, what happened to it
    and the profit or loss; behind it the badge of the money, PAPER, LIVE, MANUAL or SIMULATED
    (`render_marks.headline`). A phone breaks it before a dot or an @, never behind it.
2.  Facts are a table in monospace, label and value, no line wider than 34 columns (`markup.table`): that is what a
    phone shows without wrapping. Words are sentences in ordinary type, short, about what it means for the owner.
3.  Numbers, prices, shares, lengths of time and moments are written in one room (`bot.numbers`): a point before
    decimals and a comma between thousands whatever the locale, a typographic minus, a sign wherever a result is meant,
    an en dash and a word where there is none; moments in the owner's zone with its name. The engine's reasons keep
    their plain form in the ledger and get these looks in `render_reasons`.
4.  At most one emoji begins a line; it repeats what the words say and is never the only one to say it.
5.  A button says what it does, in a label that does not wrap: at most two in a row unless they are single words. The
    one that does what the message is about stands out (`message.Tone`). One that sells, moves or allows something is
    asked about first, or can be undone.
6.  What could not be read is said with an example to copy, and that nothing was changed.
7.  Everything foreign is escaped on its way into our HTML (`markup.esc`, `markup.line`): nothing breaks a message.
"""
