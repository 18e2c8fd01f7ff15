"""Interactions as a whole: order, ties, repeats, and times that RecBole would confuse."""

from __future__ import annotations

from recbole_store.data.check.finding import Finding
from recbole_store.data.prepare.interactions import Interactions

# Interactions of a user whose last two a sequential model validates and tests on: a first item, and
# a target each for training, validation and test.
FEWEST = 4

# RecBole keeps times as float32; a user's rows then come in another order than the exact times say
# where unequal times become equal and the file has the later row first (its sort is stable).
_AS_RECBOLE_SEES = (
    "CREATE TEMP TABLE seen AS SELECT ordinal, user_id, item_id, seconds, fraction, "
    "(seconds::DOUBLE + fraction::DOUBLE / 1e18)::FLOAT AS rounded FROM kept"
)
_COLLIDING = (
    "SELECT count(*), count(DISTINCT user_id) FROM (SELECT user_id FROM (SELECT user_id, rounded, "
    "min((seconds, fraction)) AS a, max((seconds, fraction)) AS b FROM seen "
    "GROUP BY user_id, rounded) WHERE a < b)"
)
_REORDERED = (
    "SELECT count(DISTINCT user_id), count(DISTINCT user_id) FILTER (WHERE last) FROM (SELECT "
    "user_id, "
    "row_number() OVER (PARTITION BY user_id ORDER BY seconds, fraction, ordinal) AS exact, "
    "row_number() OVER (PARTITION BY user_id ORDER BY rounded, ordinal) AS theirs, "
    "exact = count(*) OVER (PARTITION BY user_id) AS last FROM seen) WHERE exact <> theirs"
)
_UNORDERED = (
    "SELECT count(*) FROM (SELECT (seconds, fraction) < lag((seconds, fraction)) OVER "
    "(PARTITION BY user_id ORDER BY ordinal) AS earlier FROM seen) WHERE earlier"
)
_LAST_IS_REPEAT = (
    "SELECT count(*) FROM (SELECT row_number() OVER (PARTITION BY user_id ORDER BY seconds DESC, "
    "fraction DESC, ordinal DESC) AS from_end, count(*) OVER (PARTITION BY user_id, item_id) AS n "
    "FROM seen) WHERE from_end = 1 AND n > 1"
)
_LAST_IS_TIED = (
    "SELECT count(*) FROM (SELECT user_id, count(*) AS n, row_number() OVER (PARTITION BY user_id "
    "ORDER BY seconds DESC, fraction DESC) AS from_end FROM seen GROUP BY user_id, seconds, "
    "fraction) WHERE from_end = 1 AND n > 1"
)
_OF_ONE_DAY = (
    "SELECT coalesce(sum(n) FILTER (WHERE n > 1), 0)::BIGINT, count(DISTINCT day) FROM (SELECT "
    "seconds // 86400 AS day, count(*) AS n FROM seen GROUP BY user_id, day)"
)
_LENGTHS = "SELECT max(n) FROM (SELECT count(*) AS n FROM kept GROUP BY user_id)"


def length_findings(interactions: Interactions, properties: dict) -> list[Finding]:
    """Whether anything is left to validate and test on, where each user's last are taken."""
    found = []
    if interactions.counts("item")[0] < 2:
        found.append(Finding(True, "There is one item: nothing to choose from.", stops=True))
    (longest,) = interactions.connection.execute(_LENGTHS).fetchone()
    if longest < FEWEST and "LS" in (properties["eval_args"].get("split") or {}):
        text = (
            f"No user has more than {longest} interactions: leave-one-out takes the last two of "
            f"each for validation and test, so that some user needs at least {FEWEST}."
        )
        found.append(Finding(True, text, stops=True))
    return found


def interaction_findings(interactions: Interactions) -> list[Finding]:
    """What the interactions show; lines without user, item or time are not among them."""
    ask = interactions.connection.execute
    ask(_AS_RECBOLE_SEES)
    found = []

    def say(changes_results: bool, text: str) -> None:
        found.append(Finding(changes_results, text))

    if n := interactions.exact_duplicates():
        say(
            True, f"Rows that repeat user, item and time of another row, and so count twice: {n:,}."
        )
    if n := interactions.repeated_pairs() - interactions.exact_duplicates():
        (n_users,) = ask(_LAST_IS_REPEAT).fetchone()
        say(
            False,
            f"Rows that repeat a user-item pair at another time: {n:,}. Users whose last item is "
            f"such a repeat: {n_users:,}; no model can hit it where items of the history are "
            "filtered (`repeatable: False`).",
        )
    n, n_users = ask(_COLLIDING).fetchone()
    reordered, tested = ask(_REORDERED).fetchone()
    if reordered:
        say(
            True,
            "Times collide in float32, as which RecBole keeps them, and the file is not in time "
            f"order. Users whose histories RecBole alone puts in a wrong order: {reordered:,}; "
            f"those whose test item is then not their last: {tested:,}. recbole_store sorts by the "
            "exact times (`exact_time_order`); other code needs the file sorted.",
        )
    elif n:
        say(
            False,
            f"Users with times that collide in float32, as which RecBole keeps them: {n_users:,}; "
            "the file is in time order, which RecBole's stable sort keeps.",
        )
    (n,) = ask(_UNORDERED).fetchone()
    if n and not reordered:
        say(False, f"Rows that stand behind a later one of their user, which RecBole sorts: {n:,}.")
    tied, n_users = interactions.ties()
    if tied:
        (n,) = ask(_LAST_IS_TIED).fetchone()
        say(
            False,
            f"Interactions that share their time with another of the user: {tied:,}, of "
            f"{n_users:,} users; the file's order decides which comes first. Users with several "
            f"items at their last time, of which that order decides which is tested: {n:,} "
            "(`recbole-store prepare --ties shuffle` leaves it to chance).",
        )
    of_one_day, n_days = ask(_OF_ONE_DAY).fetchone()
    if of_one_day > tied and n_days > 1:
        say(
            False,
            f"Interactions of the same user and day as another: {of_one_day:,}. If a day is one "
            "basket, their order within it means nothing (`recbole-store prepare --ties_within "
            "day`).",
        )
    (n,) = ask(
        "SELECT count(*) FROM (SELECT 1 FROM seen GROUP BY user_id HAVING count(*) < 3)"
    ).fetchone()
    if n:
        say(
            False,
            f"Users with fewer than three interactions, who are neither validated nor tested on: "
            f"{n:,}.",
        )
    return found
