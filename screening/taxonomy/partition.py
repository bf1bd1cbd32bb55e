"""Fine training classes from a coarse tree: the disease partitioning of Esteva et al. 2017 (Extended Data Table 1)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from screening.contracts import RiskGrade
from screening.errors import ContractError
from screening.taxonomy.training_classes import TrainingClasses
from screening.taxonomy.tree import Disease, Taxonomy, taxonomy_of


@dataclass(frozen=True)
class Partition:
    """Training classes, and per class, in tensor order, the diseases that its photos show and how many photos those are.

    The tree of ``classes`` has a node more for each class of joined siblings.
    """

    classes: TrainingClasses
    diseases: tuple[tuple[str, ...], ...]
    photos: tuple[int, ...]


def partition_diseases(
    taxonomy: Taxonomy,
    photos: Mapping[str, int],
    max_class_size: int,
    *,
    inference: Collection[str] = (),
    join_small: bool = True,
) -> Partition:
    """Descend the tree until the photos under a node no longer exceed the limit; that node is a class.

    As in the paper, a class never crosses the branches of the tree. Beyond it: a disease with more photos than the limit
    is a class of its own, and so are photos labelled with an inner node that was descended (both are lost by the
    paper's pseudo-code); nodes of different risk grades are never one class, unless a node above them has a grade; and
    small siblings share a class, without which one large sister leaves many classes of a few photos.

    Args:
        taxonomy: the tree.
        photos: how many photos are labelled with each disease itself, by id; inner nodes may have some.
        max_class_size: most photos in a class of more than one disease.
        inference: nodes whose probability will be asked for: no class holds diseases of two of them.
        join_small: whether small siblings share a class; False: as in the paper.

    Raises:
        ContractError: a disease is unknown, a number is below 0, the limit is below 1, there are no photos, or photos are
            labelled with a node that has no grade.
    """
    if max_class_size < 1:
        raise ContractError(f"partition: max_class_size is {max_class_size}, expected at least 1")
    for disease_id, number in photos.items():
        if number < 0:
            raise ContractError(f"partition: {taxonomy[disease_id].id!r} has {number} photos, expected at least 0")
    if not sum(photos.values()):
        raise ContractError("partition: there are no photos")
    descent = _Descent(taxonomy, photos, max_class_size, frozenset(inference), join_small)
    return descent.result(sorted(descent.groups(), key=lambda group: group[0].id))


@dataclass(frozen=True)
class _Part:
    """What a class is made of: a whole branch, or, if not ``is_branch``, only the photos labelled with the node itself."""

    id: str
    photos: int
    is_branch: bool


class _Descent:
    """The tree with its photos counted: ``own`` of each node itself, ``under`` of the node and all below it."""

    def __init__(
        self,
        taxonomy: Taxonomy,
        photos: Mapping[str, int],
        max_class_size: int,
        inference: frozenset[str],
        join_small: bool,
    ) -> None:
        self.taxonomy = taxonomy
        self.limit = max_class_size
        self.inference = inference
        self.join_small = join_small
        self.own = {taxonomy[disease_id].id: number for disease_id, number in photos.items() if number}
        self.under: dict[str, int] = defaultdict(int)
        for disease in reversed(taxonomy.diseases):  # children before parents
            self.under[disease.id] += self.own.get(disease.id, 0)
            if disease.parent is not None:
                self.under[disease.parent] += self.under[disease.id]
        self.must_descend = {above.id for node in inference for above in taxonomy.lineage(node) if above.id != node}

    def groups(self) -> Iterator[list[_Part]]:
        """The parts of each class."""
        if self._is_small(self.taxonomy.root):
            yield [self._branch(self.taxonomy.root)]
            return
        waiting = [self.taxonomy.root]
        while waiting:
            node = waiting.pop()
            parts: dict[RiskGrade, list[_Part]] = defaultdict(list)
            if number := self.own.get(node.id):
                parts[self._grade(node)].append(_Part(node.id, number, is_branch=False))
            for child in self.taxonomy.children(node.id):
                if not self.under[child.id]:
                    continue
                if not self._is_small(child):
                    waiting.append(child)
                elif child.id in self.inference or not self.join_small:
                    yield [self._branch(child)]
                else:
                    parts[self._grade(child)].append(self._branch(child))
            for alike in parts.values():
                yield from self._packed(alike)

    def _is_small(self, node: Disease) -> bool:
        return (
            self.under[node.id] <= self.limit
            and node.id not in self.must_descend
            and self.taxonomy.grade_of(node.id) is not None
        )

    def _branch(self, node: Disease) -> _Part:
        return _Part(node.id, self.under[node.id], is_branch=True)

    def _grade(self, node: Disease) -> RiskGrade:
        grade = self.taxonomy.grade_of(node.id)
        if grade is None:
            raise ContractError(
                f"partition: {self.own[node.id]} photos are labelled {node.id!r}, which has no grade; "
                "give them finer labels, or leave them out"
            )
        return grade

    def _packed(self, parts: Iterable[_Part]) -> list[list[_Part]]:
        """Largest first, each into the fullest class that still takes it (best fit)."""
        bins: list[list[_Part]] = []
        for part in sorted(parts, key=lambda part: (-part.photos, part.id)):
            fitting = [b for b in bins if self.join_small and _size(b) + part.photos <= self.limit]
            if fitting:
                max(fitting, key=_size).append(part)
            else:
                bins.append([part])
        return bins

    def result(self, groups: list[list[_Part]]) -> Partition:
        """Name the classes; joined siblings get a node of their own, below which they stand from now on."""
        new_parent: dict[str, str] = {}
        joined: dict[str, list[Disease]] = defaultdict(list)
        class_ids = []
        for group in groups:
            rest_of = [part.id for part in group if not part.is_branch]
            if rest_of or len(group) == 1:
                class_ids.append(rest_of[0] if rest_of else group[0].id)
                continue
            members = sorted(part.id for part in group)
            parent = self.taxonomy[members[0]].parent
            node = Disease(
                f"{members[0]}_and_{len(members) - 1}_more", " or ".join(self.taxonomy[m].name for m in members), parent
            )
            class_ids.append(node.id)
            joined[str(parent)].append(node)
            new_parent |= dict.fromkeys(members, node.id)
        diseases: list[Disease] = []
        for disease in self.taxonomy.diseases:
            moved = replace(disease, parent=new_parent[disease.id]) if disease.id in new_parent else disease
            diseases += [moved, *sorted(joined.get(disease.id, ()), key=lambda node: node.id)]
        tree = taxonomy_of(diseases) if new_parent else self.taxonomy
        return Partition(
            TrainingClasses(tree, tuple(class_ids)),
            tuple(tuple(sorted(self._shown(group))) for group in groups),
            tuple(_size(group) for group in groups),
        )

    def _shown(self, group: Iterable[_Part]) -> Iterator[str]:
        for part in group:
            nodes = self.taxonomy.descendants(part.id) if part.is_branch else (self.taxonomy[part.id],)
            yield from (node.id for node in nodes if node.id in self.own)


def _size(parts: Iterable[_Part]) -> int:
    return sum(part.photos for part in parts)
