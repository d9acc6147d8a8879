"""Which world a start chooses, and that play money never meets a real ledger."""

import pytest

from bot.worlds import LEDGER, SIMULATED, TRYOUT, choose_place
from core.domain.accounts import World
from core.errors import Fatal


def never():
    raise AssertionError("Yahoo was asked although the answer cannot matter")


def test_a_first_start_without_anything_and_without_yahoo_is_simulated(tmp_path):
    place = choose_place("auto", False, None, tmp_path, lambda: "cannot be reached: no connection")
    assert (place.world, place.play_money) == (World.SIMULATED, True)
    assert place.database.endswith(SIMULATED)
    assert place.reason == "Yahoo cannot be reached: no connection"


def test_a_simulated_installation_stays_simulated_without_asking_yahoo(tmp_path):
    (tmp_path / SIMULATED).touch()
    assert choose_place("auto", False, None, tmp_path, never).world is World.SIMULATED


def test_an_installation_that_has_seen_real_data_never_turns_simulated(tmp_path):
    (tmp_path / SIMULATED).touch()
    (tmp_path / TRYOUT).touch()
    assert choose_place("auto", False, None, tmp_path, never).world is World.REAL


def test_with_yahoo_a_first_start_trades_play_money_at_real_prices_in_a_ledger_of_its_own(tmp_path):
    place = choose_place("auto", False, None, tmp_path, lambda: "")
    assert (place.world, place.play_money) == (World.REAL, True)
    assert place.database.endswith(TRYOUT)


def test_a_token_means_the_real_ledger_whatever_was_tried_before(tmp_path):
    (tmp_path / SIMULATED).touch()
    place = choose_place("auto", True, None, tmp_path, never)
    assert (place.world, place.play_money) == (World.REAL, False)
    assert place.database.endswith(LEDGER)
    assert choose_place("auto", True, "sqlite:////x/y.sqlite", tmp_path, never).database == "sqlite:////x/y.sqlite"


def test_simulated_prices_are_refused_beside_a_token(tmp_path):
    with pytest.raises(Fatal, match="TELEGRAM_BOT_TOKEN"):
        choose_place("simulated", True, None, tmp_path, never)


def test_the_owner_may_ask_for_either_world(tmp_path):
    assert choose_place("simulated", False, None, tmp_path, never).reason == "asked for"
    assert choose_place("real", False, None, tmp_path, never).world is World.REAL


@pytest.mark.feature("S20")
def test_keys_of_alpaca_mean_the_real_ledger_without_asking_yahoo(tmp_path):
    (tmp_path / SIMULATED).touch()
    place = choose_place("auto", False, None, tmp_path, never, has_keys=True)
    assert (place.world, place.play_money, place.left_behind) == (World.REAL, False, None)
    assert place.database.endswith(LEDGER)
    assert choose_place("real", False, "sqlite:////x/y.sqlite", tmp_path, never, has_keys=True).database.endswith(
        "y.sqlite"
    )
    assert choose_place("simulated", False, None, tmp_path, never, has_keys=True).world is World.SIMULATED


@pytest.mark.feature("S20")
def test_a_try_out_stays_where_it_is_once_there_are_keys(tmp_path):
    (tmp_path / TRYOUT).touch()
    place = choose_place("auto", False, None, tmp_path, never, has_keys=True)
    assert place.left_behind == tmp_path / TRYOUT
    assert place.database.endswith(LEDGER)
    assert choose_place("auto", False, None, tmp_path, never).database.endswith(TRYOUT)
