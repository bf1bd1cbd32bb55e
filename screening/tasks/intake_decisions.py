"""What clinicians decided becomes vetted photos and the corpus: the tasks of `intake_decisions`. docs/decisions/0018.

Everything follows from objects that are written once (decisions, withdrawals) and from the published nights. What a
task remembers in ``paths.review_state`` only saves work: a night whose decisions, tables and rules are as they were is not
worked out again.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from itertools import combinations
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from screening.contracts import (
    CORPUS,
    DECISIONS,
    PHOTOS,
    QUALITY,
    REVIEW_QUEUE,
    VETTED_PHOTOS,
    Contract,
    LabelStrength,
    RiskGrade,
    grades_contract_of,
)
from screening.edges import paths
from screening.edges.tables import read_table, write_table
from screening.errors import AuditError, ContractError, MissingObjectError
from screening.stages.adjudication import counting_decisions
from screening.stages.agreement import cohen_kappa, fleiss_kappa
from screening.stages.audit_decisions import audit_decisions
from screening.stages.missed_lesions import Stratum, missed_lesions
from screening.stages.review_rules import SiteReviewRules
from screening.stages.vetting import Standing, corpus_rows, low_risk_strata, vet_photos
from screening.tasks.context import NightContext, code_revision, run_id_of
from screening.tasks.decision_inbox import read_inbox
from screening.tasks.gathered_decisions import gather_decisions, gathered_decisions
from screening.tasks.review_rules import load_review_rules
from screening.tasks.withdrawals import apply_withdrawals, withdrawn_photos
from screening.taxonomy import Taxonomy, load_taxonomy

log = logging.getLogger(__name__)

Place = tuple[str, date]
"""A programme's night."""
Row = dict[str, Any]
STRONG = (LabelStrength.HISTOPATHOLOGY, LabelStrength.CONSENSUS)
_SEEN, _ADJUDICATED, _IN_CORPUS, _ANNOUNCED = "seen", "adjudicated", "in_corpus", "announced"


def anything_new(context: NightContext) -> bool:
    """Whether a file, a decision or a withdrawal came since the last intake that ended; once a day always."""
    return _news(context) != _read_state(_SEEN, context)


def _news(context: NightContext) -> dict[str, Any]:
    digest = hashlib.sha256()
    for prefix in (paths.INBOX_PREFIX, paths.DECISIONS_PREFIX, paths.WITHDRAWALS_PREFIX):
        for page in context.results.pages(prefix):
            for found in page:
                digest.update(f"{found.key}\0{found.etag}\n".encode(errors="surrogateescape"))
    return {"day": datetime.now(UTC).date().isoformat(), "objects": digest.hexdigest()}


def adjudicate(context: NightContext) -> int:
    """Publish ``decisions`` and ``vetted_photos`` of every night about which there is something new; returns how many.

    Raises:
        AuditError: the tables break what must hold of them; nothing was published.
    """
    seen = _news(context)  # before the decisions are listed: what comes later is news for the next intake
    decisions, unreadable = gather_decisions(context)
    vetting = _Vetting(load_review_rules(context.settings), load_taxonomy(), withdrawn_photos(context), context)
    of_place = _by_place(decisions)
    signatures = vetting.signatures(of_place)
    done = _read_state(_ADJUDICATED, context).get("nights", {})
    changed = [place for place in of_place if done.get(_name(place), {}).get("signature") != signatures[place]]
    changed_decisions = {place: of_place[place].select(DECISIONS.schema.names) for place in changed}
    vetted = {place: vetting.vet(place, table.to_pylist()) for place, table in changed_decisions.items()}
    audited = audit_decisions(
        pa.concat_tables([DECISIONS.schema.empty_table(), *changed_decisions.values()]),
        VETTED_PHOTOS.table([row for rows in vetted.values() for row in rows]),
        vetting.taxonomy,
    )
    if not audited.success:
        raise AuditError(f"decisions: {len(audited.faults)} faults, nothing was published: {'; '.join(audited.faults)}")
    for place, rows in vetted.items():
        write_table(context.results, paths.published(DECISIONS.name, *place), changed_decisions[place], DECISIONS)
        write_table(
            context.results, paths.published(VETTED_PHOTOS.name, *place), VETTED_PHOTOS.table(rows), VETTED_PHOTOS
        )
        done[_name(place)] = {
            "signature": signatures[place],
            "states": Counter(str(row["state"]) for row in rows),
            "kept_out": Counter(str(row["kept_out"]) for row in rows if row["kept_out"]),
            "strata": [asdict(stratum) for stratum in vetting.strata(place, rows)],
        }
    nights = {_name(place): done[_name(place)] for place in of_place}
    state = {"nights": nights, "unreadable": unreadable, "warnings": audited.warnings, "seen": seen}
    _write_state(_ADJUDICATED, state, context)
    log.info("adjudicate decisions=%d nights=%d changed=%d", decisions.num_rows, len(of_place), len(changed))
    return len(changed)


def _by_place(decisions: pa.Table) -> dict[Place, pa.Table]:
    """The decisions of each programme's night, in order; all of one photo with the first of its nights."""
    columns = [decisions[name].to_pylist() for name in ("photo_id", "night", "programme")]
    place_of: dict[str, Place] = {}
    for photo_id, night, programme in sorted(zip(*columns, strict=True)):
        place_of.setdefault(photo_id, (programme, night))
    rows: dict[Place, list[int]] = defaultdict(list)
    for number, photo_id in enumerate(columns[0]):
        rows[place_of[photo_id]].append(number)
    return {place: decisions.take(rows[place]) for place in sorted(rows)}


@dataclass(frozen=True)
class _Vetting:
    """What the vetting of every night needs."""

    rules: SiteReviewRules
    taxonomy: Taxonomy
    withdrawn: set[str]
    context: NightContext

    def signatures(self, of_place: Mapping[Place, pa.Table]) -> dict[Place, str]:
        """A digest of all that the vetting of a night rests on."""
        etags: dict[Place, list[str]] = defaultdict(list)
        for table in (PHOTOS.name, QUALITY.name, "grades", REVIEW_QUEUE.name):
            for page in self.context.results.pages(paths.published_prefix(table)):
                for found in page:
                    if parsed := paths.parse_published_key(found.key):
                        etags[parsed.programme, parsed.night].append(f"{table} {found.etag}")
        fixed = [self.taxonomy.version, code_revision()]
        signatures = {}
        for place, decisions in of_place.items():
            gone = self.withdrawn.intersection(decisions["photo_id"].to_pylist())
            # With the place: of two copies of a decision another one may count than did last time.
            said = pc.binary_join_element_wise(decisions["decision_id"], decisions["recorded_in"], " ").to_pylist()
            parts = [*fixed, self.rules.version(place[0]), *etags[place], *sorted(gone), *said]
            signatures[place] = hashlib.sha256("\0".join(parts).encode()).hexdigest()
        return signatures

    def vet(self, place: Place, decisions: list[Row]) -> list[Row]:
        """Rows of ``VETTED_PHOTOS`` of a night."""
        wanted = {row["photo_id"] for row in decisions}
        photos = [row for row in _read(PHOTOS, place, self.context) if row["photo_id"] in wanted]
        # The same bytes may come from two people: both must agree.
        refusing = {row["photo_id"] for row in photos if not row["has_training_consent"]}
        standing = Standing(
            consenting={row["photo_id"] for row in photos} - refusing,
            withdrawn=self.withdrawn,
            with_copy=self._with_copy(place, wanted),
        )
        return vet_photos(decisions, place, self.rules.of(place[0]), self.taxonomy, standing)

    def _with_copy(self, place: Place, photo_ids: set[str]) -> set[str]:
        prefix = paths.working_copy(run_id_of(place[1]), "").removesuffix(".jpg")
        names = (f.key.removeprefix(prefix) for page in self.context.results.pages(prefix) for f in page)
        there = photo_ids & {name.removesuffix(".jpg") for name in names}
        # The run's folder may have been cleared away since the photo came into the corpus.
        return there | {i for i in photo_ids - there if self.context.results.exists(paths.corpus_photo(i))}

    def strata(self, place: Place, vetted: list[Row]) -> list[Stratum]:
        """The night's photos that were graded low risk, by their chance to be looked at."""
        try:
            grades = read_table(self.context.results, paths.published("grades", *place), grades_contract_of)
        except MissingObjectError:
            return []
        low_risk = pc.sum(pc.equal(grades["grade"], str(RiskGrade.LOW_RISK))).as_py() or 0
        return low_risk_strata(_read(REVIEW_QUEUE, place, self.context), vetted, low_risk, self.taxonomy)


def build_corpus(context: NightContext) -> int:
    """Write the corpus and the copies of its photos; returns how many photos it holds.

    The rows of nights that were not adjudicated anew are kept. Withdrawals are applied once more at the end: one that came
    since the adjudication counts.
    """
    nights = _read_state(_ADJUDICATED, context).get("nights", {})
    included = _read_state(_IN_CORPUS, context)
    corpus = CORPUS.schema.empty_table()
    try:
        corpus = read_table(context.results, paths.CORPUS_TABLE, CORPUS)
    except MissingObjectError:
        included = {}
    signatures = {name: night["signature"] for name, night in nights.items()}
    of_place = _by_place(gathered_decisions(context))
    places = {_name(place): place for place in of_place}
    same = {name for name, signature in signatures.items() if included.get(name) == signature}
    kept_ids = {i for name in same for i in of_place[places[name]]["photo_id"].to_pylist()}
    kept = corpus.filter(pc.is_in(corpus["photo_id"], pa.array(sorted(kept_ids), pa.string())))
    rules, taxonomy = load_review_rules(context.settings), load_taxonomy()
    new: list[Row] = []
    for name in sorted(signatures.keys() - same):
        new += _corpus_of(places[name], rules, taxonomy, context)
    table = pa.concat_tables([kept, CORPUS.table(new)]).sort_by("photo_id")
    write_table(context.results, paths.CORPUS_TABLE, table, CORPUS)
    apply_withdrawals(context)
    _write_state(_IN_CORPUS, signatures, context)
    log.info("corpus photos=%d nights=%d changed=%d", table.num_rows, len(signatures), len(signatures) - len(same))
    return int(table.num_rows)


def _corpus_of(place: Place, rules: SiteReviewRules, taxonomy: Taxonomy, context: NightContext) -> list[Row]:
    vetted = [row for row in _read(VETTED_PHOTOS, place, context) if row["is_in_corpus"]]
    if not vetted:
        return []
    wanted = {row["photo_id"] for row in vetted}
    photos, quality = (
        [row for row in _read(contract, place, context) if row["photo_id"] in wanted] for contract in (PHOTOS, QUALITY)
    )
    with ThreadPoolExecutor(context.settings.s3_connections) as threads:
        copied = dict(zip(wanted, threads.map(lambda i: _copy(i, run_id_of(place[1]), context), wanted), strict=True))
    there = [row for row in vetted if copied[row["photo_id"]]]
    if len(there) < len(vetted):
        log.error(
            "corpus night=%s: %d working copies are gone since the adjudication", place[1], len(vetted) - len(there)
        )
    return corpus_rows(there, photos, quality, kind=rules.of(place[0]).kind, taxonomy=taxonomy)


def _copy(photo_id: str, run_id: str, context: NightContext) -> bool:
    """Keep a photo's working copy for the corpus; false when there is none any more."""
    key = paths.corpus_photo(photo_id)
    if not context.results.exists(key):
        try:
            context.results.put(key, context.results.get(paths.working_copy(run_id, photo_id)))
        except MissingObjectError:
            return False
    return True


def corpus_news(context: NightContext) -> dict[str, int] | None:
    """What the asset of the corpus is told: ``photos`` and ``strong_labels``; None when they know already."""
    corpus = read_table(context.results, paths.CORPUS_TABLE, CORPUS)
    if _read_state(_ANNOUNCED, context).get("corpus") == _corpus_digest(corpus):
        return None
    strong = sum(strength in STRONG for strength in corpus["label_strength"].to_pylist())
    return {"photos": corpus.num_rows, "strong_labels": strong}


def _corpus_digest(corpus: pa.Table) -> str:
    columns = (corpus[name].to_pylist() for name in ("photo_id", "disease", "label_strength"))
    return hashlib.sha256(json.dumps(list(zip(*columns, strict=True))).encode()).hexdigest()


def report_intake(context: NightContext) -> dict[str, Any]:
    """Write what stands where for people and pages (``paths.REVIEW_STATUS``, ``paths.MISSED_LESIONS``); ends an intake.

    Raises:
        ContractError: some objects hold no decision; everything else was taken in.
    """
    adjudicated = _read_state(_ADJUDICATED, context)
    corpus = read_table(context.results, paths.CORPUS_TABLE, CORPUS)
    decisions = gathered_decisions(context)
    by_programme: dict[str, list[Row]] = defaultdict(list)
    for name, night in adjudicated["nights"].items():
        by_programme[name.rpartition("/")[0]].append(night)
    strata = {
        programme: [Stratum(**stratum) for night in nights for stratum in night["strata"]]
        for programme, nights in by_programme.items()
    }
    missed = {"all": [s for of in strata.values() for s in of], **{f"programme={p}": of for p, of in strata.items()}}
    _write_json(paths.MISSED_LESIONS, {name: _missed(of) for name, of in missed.items()}, context)
    status = {
        "written_at_utc": datetime.now(UTC).isoformat(timespec="seconds"),
        "decisions": decisions.num_rows,
        "corpus": dict(sorted(Counter(corpus["label_strength"].to_pylist()).items())),
        "programmes": {
            programme: {
                "nights": len(nights),
                "states": dict(sum((Counter(night["states"]) for night in nights), Counter())),
                "kept_out": dict(sum((Counter(night["kept_out"]) for night in nights), Counter())),
                "agreement": _agreement(decisions.filter(pc.equal(decisions["programme"], programme))),
            }
            for programme, nights in sorted(by_programme.items())
        },
        "warnings": adjudicated["warnings"],
        "unreadable": adjudicated["unreadable"],
    }
    _write_json(paths.REVIEW_STATUS, status, context)
    _write_state(_ANNOUNCED, {"corpus": _corpus_digest(corpus)}, context)
    _write_state(_SEEN, adjudicated["seen"], context)
    if unreadable := adjudicated["unreadable"]:
        first = "; ".join(f"{key!r}: {fault}" for key, fault in sorted(unreadable.items())[:5])
        raise ContractError(f"{len(unreadable)} objects hold no decisions, the others were taken in: {first}")
    return status


def _missed(strata: Sequence[Stratum]) -> dict[str, Any]:
    estimate = missed_lesions(strata)
    return asdict(estimate) | {"share": estimate.share}


def _agreement(decisions: pa.Table) -> dict[str, Any]:
    """Kappas of the readings of photos with two readers and more; ``cannot tell`` is an answer like any other."""
    taxonomy = load_taxonomy()
    known = {disease.id for disease in taxonomy.diseases}
    of_photo: dict[str, list[Row]] = defaultdict(list)
    for row in decisions.to_pylist():
        of_photo[row["photo_id"]].append(row)
    read = [counting_decisions(rows).readings for rows in of_photo.values()]
    read = [readings for readings in read if len(readings) >= 2]

    def grade(reading: Mapping[str, Any]) -> str:
        return str(taxonomy.grade_of(reading["disease"])) if reading["disease"] in known else str(reading["disease"])

    pairs: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for readings in read:
        for first, second in combinations(sorted(readings, key=lambda r: str(r["reader"])), 2):
            pairs[first["reader"], second["reader"]].append((grade(first), grade(second)))
    return {
        "photos": len(read),
        "fleiss_grade": fleiss_kappa([[grade(r) for r in readings] for readings in read]),
        "fleiss_disease": fleiss_kappa([[r["disease"] for r in readings] for readings in read]),
        "cohen_grade": [
            {"readers": list(names), "photos": len(of), "kappa": cohen_kappa(of)} for names, of in sorted(pairs.items())
        ],
    }


def run_intake(context: NightContext) -> dict[str, Any]:
    """All tasks in order, without a scheduler; returns the status."""
    apply_withdrawals(context)
    read_inbox(context)
    adjudicate(context)
    build_corpus(context)
    return report_intake(context)


def _read(contract: Contract, place: Place, context: NightContext) -> list[Row]:
    with suppress(MissingObjectError):
        rows: list[Row] = read_table(context.results, paths.published(contract.name, *place), contract).to_pylist()
        return rows
    return []


def _name(place: Place) -> str:
    return f"{place[0]}/{place[1]}"


def _read_state(name: str, context: NightContext) -> dict[str, Any]:
    """What a task left; nothing where it never ran, or what it left cannot be read."""
    with suppress(MissingObjectError, ValueError):
        state = json.loads(context.results.get(paths.review_state(name)))
        if isinstance(state, dict):
            return state
    return {}


def _write_state(name: str, state: Mapping[str, Any], context: NightContext) -> None:
    _write_json(paths.review_state(name), state, context)


def _write_json(key: str, value: Mapping[str, Any], context: NightContext) -> None:
    context.results.put(key, json.dumps(value, indent=1, ensure_ascii=False).encode())
