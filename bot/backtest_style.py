"""How a tear sheet looks; it prints on paper as well."""

STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0; background: #f4f6f9; color: #1b2430; font: 14px/1.5 system-ui, "DejaVu Sans", Arial, sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 28px 20px 60px; }
header { padding: 4px 2px 14px; }
header p { margin: 2px 0; color: #5b6472; }
header .brand { font-weight: 700; color: #1f6feb; letter-spacing: .04em; text-transform: uppercase; font-size: 12px; }
h1 { margin: 0 0 4px; font-size: 30px; line-height: 1.15; }
h2 { margin: 0 0 12px; font-size: 15px; }
header .warn { margin-top: 10px; color: #9a3412; font-weight: 600; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(160px, 1fr)); gap: 12px; margin: 8px 0 10px; }
.tile { background: #fff; border: 1px solid #e1e5eb; border-radius: 10px; padding: 12px 14px; }
.tile span, .tile em { display: block; color: #5b6472; font-style: normal; font-size: 12px; }
.tile strong { display: block; font-size: 24px; line-height: 1.3; font-variant-numeric: tabular-nums; }
.beside { margin: 2px 4px; color: #5b6472; }
section { background: #fff; border: 1px solid #e1e5eb; border-radius: 10px; padding: 16px 18px; margin-top: 14px;
  min-width: 0; break-inside: avoid; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(420px, 1fr)); gap: 0 14px; }
svg { display: block; width: 100%; height: auto; }
.legend { margin: 8px 0 0; color: #3d4653; font-size: 12px; }
.legend span { margin-right: 18px; white-space: nowrap; }
.legend i { display: inline-block; width: 12px; height: 12px; border-radius: 3px; margin-right: 6px;
  vertical-align: -1px; }
.note { margin: 10px 0 0; color: #5b6472; font-size: 12px; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 13px; font-variant-numeric: tabular-nums; }
th { text-align: right; font-weight: 600; color: #5b6472; padding: 5px 8px; border-bottom: 1px solid #d5dae2; }
td { text-align: right; padding: 5px 8px; border-bottom: 1px solid #eef1f5; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
.months td { text-align: center; }
.months th { text-align: center; }
ul { margin: 0; padding-left: 18px; }
li { margin: 4px 0; }
@media print { body { background: #fff; } main { padding: 0; } section, .tile { border-color: #ccc; } }
"""
