"""What a confirmation trains, and how it chooses a winner.

It is apart from the leaderboard because it knows only the confirmation: which configurations take
part comes from there. Everything is decided from the records of trials, so that neither the order
in which trials end nor a restart changes it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean

from ..run_folder import Record
from ..run_folder.outcomes import counts, has_model
from ..run_folder.trial_identity import canonical
from ..statistics.racing import MIN_SCORES, fallen_behind
from ..study import Configuration, Confirm

Pair = tuple[Configuration, int]  # a configuration and a seed
Key = tuple[str, int]  # the same, with the configuration's key
Scores = Callable[[Record], float | None]


@dataclass(frozen=True, kw_only=True)
class Dropped:
    """A configuration that was dropped from the race.

    Attributes:
        configuration: the point of the search space.
        after: the choosing seed after which it was dropped.
    """

    configuration: Configuration
    after: int


@dataclass(frozen=True, kw_only=True)
class Choice:
    """How far the choice of the winner has come.

    Attributes:
        candidates: the configurations to choose among.
        trials: configurations and seeds of the trials that have begun or may begin now, in order.
        to_come: the number of trials that follow unless their configurations are dropped.
        is_over: whether the winner is known, or that there is none.
        winner: the winner; None as long as it is not known, or if no candidate has a result.
        dropped: the candidates that lost the race before its last seed.
        without_result: the candidates that failed or diverged with all choosing seeds.
    """

    candidates: Sequence[Configuration]
    trials: tuple[Pair, ...]
    to_come: int = 0
    is_over: bool = False
    winner: Configuration | None = None
    dropped: tuple[Dropped, ...] = ()
    without_result: tuple[Configuration, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The trials of a confirmation, as far as they are known.

    Attributes:
        trials: configurations and seeds of the trials that have begun or may begin now, in order,
            each once.
        to_come: the number of trials whose configuration is not known yet.
        competing: the configurations whose printed seeds compete: all candidates, or the winner
            that was chosen with seeds of its own.
        choice: how far the choice has come; None if the printed seeds choose the winner.
    """

    trials: tuple[Pair, ...]
    to_come: int
    competing: tuple[Configuration, ...]
    choice: Choice | None

    @cached_property
    def keys(self) -> frozenset[Key]:
        """The configuration's key and the seed of each trial, see `trial_key`."""
        return frozenset((configuration_key(point), seed) for point, seed in self.trials)


def configuration_key(configuration: Configuration) -> str:
    """Return a text that is equal for equal configurations."""
    return canonical(configuration)


def trial_key(record: Record) -> Key:
    """Return the key of a trial's configuration, and its seed."""
    return configuration_key(record.configuration), record.seed


def expected_trials(confirm: Confirm, candidates: int, *, published: bool) -> int:
    """Return how many trials a confirmation has at most.

    Args:
        confirm: its settings.
        candidates: the number of configurations that take part.
        published: whether the published setting is none of them for certain.
    """
    if not confirm.seeds:
        return 0
    chooses = bool(confirm.choose) and candidates > 1
    groups = min(candidates, 1) if chooses else candidates
    total = (groups + published) * len(confirm.seeds)
    return total + (candidates * len(confirm.choose) if chooses else 0)


def plan_confirmation(
    confirm: Confirm,
    candidates: Sequence[Configuration],
    published: Configuration | None,
    records: Iterable[Record],
    score: Scores,
) -> Plan:
    """Return the trials of a confirmation.

    Args:
        confirm: its settings.
        candidates: the best configurations of the search, the best first.
        published: the published setting that is trained beside them; None for none.
        records: the trials of the confirmation so far.
        score: returns the score with which a trial counts.
    """
    if not confirm.seeds or not candidates:
        return Plan(trials=(), to_come=0, competing=(), choice=None)
    choice = None
    competing = tuple(candidates)
    begun = {trial_key(record): record for record in records}
    if confirm.choose and len(candidates) > 1:
        choice = _choose(confirm, candidates, begun, score)
        competing = (choice.winner,) if choice.winner is not None else ()
    pairs = list(choice.trials) if choice else []
    printed = [*competing, *([published] if published is not None else [])]
    pairs += [(point, seed) for point in printed for seed in confirm.seeds]
    to_come = choice.to_come if choice else 0
    if choice and not choice.is_over:  # an earlier session may have trained some of the printed
        keys = [configuration_key(point) for point in candidates]
        to_come += max(sum((key, seed) not in begun for seed in confirm.seeds) for key in keys)
    unique = {(configuration_key(point), seed): (point, seed) for point, seed in pairs}
    return Plan(trials=tuple(unique.values()), to_come=to_come, competing=competing, choice=choice)


def _choose(
    confirm: Confirm,
    candidates: Sequence[Configuration],
    records: Mapping[Key, Record],
    score: Scores,
) -> Choice:
    """Return how far the choice has come: in one round, or in a race in one for each seed."""
    rounds = [(seed,) for seed in confirm.choose] if confirm.race else [confirm.choose]
    remaining = list(candidates)
    trials: list[Pair] = []
    dropped: list[Dropped] = []
    without_result: list[Configuration] = []
    for index, seeds in enumerate(rounds):
        trials += [(point, seed) for point in remaining for seed in seeds]
        if not all(_is_over(records, pair) for pair in trials):
            later = len(remaining) * sum(len(further) for further in rounds[index + 1 :])
            return Choice(
                candidates=candidates,
                trials=tuple(trials),
                to_come=later,
                dropped=tuple(dropped),
                without_result=tuple(without_result),
            )
        if index + 1 < len(rounds):
            results = [_Result(point, confirm.choose[: index + 1], records, score)
                       for point in remaining]  # fmt: skip
            behind, failed = _behind(results) if index + 1 >= MIN_SCORES else ([], [])
            dropped += [Dropped(configuration=point, after=seeds[-1]) for point in behind]
            without_result += failed
            remaining = [point for point in remaining if point not in (*behind, *failed)]
        if len(remaining) == 1:
            break
    results = [_Result(point, confirm.choose, records, score) for point in remaining]
    rivals = sorted((r for r in results if r.has_model), key=lambda result: result.rank)
    without_result += [result.configuration for result in results if not result.has_model]
    return Choice(
        candidates=candidates,
        trials=tuple(trials),
        is_over=True,
        winner=rivals[0].configuration if rivals else None,
        dropped=tuple(dropped),
        without_result=tuple(without_result),
    )


class _Result:
    """What a candidate has come to with the choosing seeds that it was trained with.

    Attributes:
        configuration: the point of the search space.
        scores: of its trials that count.
        has_model: whether some trial neither failed nor diverged.
        rank: sorts the best candidate first, by the mean. As in the leaderboard, one that is
            degenerate with every seed comes last, and before it one with half of its seeds failed.
    """

    def __init__(
        self,
        configuration: Configuration,
        seeds: Sequence[int],
        records: Mapping[Key, Record],
        score: Scores,
    ) -> None:
        key = configuration_key(configuration)
        trials = [records[key, seed] for seed in seeds if (key, seed) in records]
        counted = [record for record in trials if counts(record.status)]
        scores = ((score(record), record) for record in counted)
        self.configuration = configuration
        self.scores = [value for value, _ in scores if value is not None]
        self.has_model = any(has_model(record.status) for record in counted)
        degenerate = all(record.status == "degenerate" for record in counted)
        few = 2 * len(self.scores) < len(trials)
        self.rank = (degenerate, few, -fmean(self.scores) if self.scores else 0.0)


def _behind(results: Sequence[_Result]) -> tuple[list[Configuration], list[Configuration]]:
    """Return the candidates to drop: those that have fallen behind, and those without a model.

    None is dropped as long as no candidate has a model.
    """
    rivals = [result for result in results if result.has_model]
    if not rivals:
        return [], []
    leader = min(rivals, key=lambda result: result.rank)
    behind = fallen_behind([result.scores for result in rivals], rivals.index(leader))
    failed = [result.configuration for result in results if not result.has_model]
    return [rivals[index].configuration for index in behind], failed


def _is_over(records: Mapping[Key, Record], pair: Pair) -> bool:
    configuration, seed = pair
    record = records.get((configuration_key(configuration), seed))
    return record is not None and record.is_over
