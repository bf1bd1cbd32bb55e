"""The figures of the held-out photos: damage on purpose, innocent look-alikes, skin tones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from screening.contracts import Verdict
from tests.benchmarks.quality.damage import DYES
from tests.benchmarks.quality.figures import (
    Estimate,
    Figure,
    at_least,
    at_most,
    auc,
    limit_for_false_alarms,
    limit_for_sensitivity,
    share,
)
from tests.benchmarks.quality.filters import SCORES, Said, as_upload, ask_filters
from tests.benchmarks.quality.look_alikes import TONES_ITA
from tests.benchmarks.quality.real_photos import RealPhoto
from tests.benchmarks.quality.scenes import (
    AS_IS,
    CASTS,
    COLOURED_LIGHTS,
    DYE_STRENGTHS,
    FAR_WIDTHS,
    HAIRS,
    NEAR_SHOWN,
    PEN_MARKS,
    STOPS,
    pictures_of,
)
from tests.benchmarks.quality.things import PLACES, THINGS


@dataclass(frozen=True)
class Finding:
    """What the filters say of one picture of one photo."""

    photo: str
    has_hair: bool
    """Of its own, before anything was made of it."""
    crust: str
    """As ``RealPhoto.crust``."""
    group: str
    kind: str
    level: str
    said: Said


def look_at(photo: RealPhoto) -> list[Finding]:
    """Make all pictures of a photo, one at a time, and ask the filters about each."""
    return [
        Finding(photo.name, photo.has_hair, photo.crust, p.group, p.kind, p.level, ask_filters(as_upload(p.pixels)))
        for p in pictures_of(photo)
    ]


class Findings:
    """Many findings, and the figures that are counted over some of them."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self._all = list(findings)

    def only(self, choose: Callable[[Finding], bool]) -> Findings:
        return Findings(f for f in self._all if choose(f))

    def of(self, group: str, kind: str | None = None, level: str | None = None) -> Findings:
        """Those of a group, all damaged ones when no kind is named."""
        return self.only(
            lambda f: (
                f.group == group and (f.kind != AS_IS if kind is None else f.kind == kind) and level in (None, f.level)
            )
        )

    def kinds(self) -> list[str]:
        """In the order in which they were made."""
        return list(dict.fromkeys(f.kind for f in self._all))

    def levels(self) -> list[str]:
        """In the order in which they were made."""
        return list(dict.fromkeys(f.level for f in self._all))

    def photos(self) -> list[str]:
        return [f.photo for f in self._all]

    def scores(self, name: str) -> np.ndarray:
        return np.array([f.said.scores[name] for f in self._all])

    def innocent_of(self, name: str) -> Findings:
        """Those that the filter should not raise: hair in a hairy photo is no false alarm, nor is crust on a crusted lesion."""
        return self.only(lambda f: not (name == "hair" and f.has_hair) and not (name == "crust" and f.crust != "no"))

    def raised(self, name: str) -> Estimate:
        """Share refused or flagged by one filter, with the product's cut-offs."""
        return share([name in f.said.raised for f in self._all], self.photos())

    def refused(self) -> Estimate:
        """Share refused, for whatever reason."""
        return share([f.said.verdict == Verdict.REFUSED for f in self._all], self.photos())

    def above(self, name: str, limit: float) -> Estimate:
        return share(self.scores(name) > limit, self.photos())

    def auc_against(self, good: Findings, name: str) -> Estimate:
        return auc(self.scores(name), self.photos(), good.scores(name), good.photos())


def blur_figures(findings: Findings) -> list[Figure]:
    """Defocus and motion, on the whole frame and on the lesion only."""
    good = findings.of("blur", AS_IS)
    figures = []
    for kind in findings.of("blur").kinds():
        of_kind = findings.of("blur", kind)
        for level in of_kind.levels():
            figures += _judged(f"{kind}, {level}", findings.of("blur", kind, level), good, "blur")
    for place in ("frame", "lesion"):
        clear = findings.of("blur").only(partial(_is_clearly_blurred, place))
        told = clear.auc_against(good, "blur")
        limit = limit_for_sensitivity(clear.scores("blur"), 0.9)
        alarms = share(good.scores("blur") >= limit, good.photos())
        what = f"{place}: defocus of 2.5 px and motion of 9 px or more"
        figures.append(at_least(f"{what}: AUC", told, "auc", 0.98))
        figures.append(at_most(f"{what}: false alarms on sharp photos at sensitivity 0.9", alarms, "share", 0.03))
    figures.append(at_most("sharp photos: raised as judged", good.raised("blur"), "share", 0.03))
    return figures


def _is_clearly_blurred(place: str, finding: Finding) -> bool:
    least = 2.5 if finding.kind.startswith("defocus") else 9
    return finding.kind.endswith(place) and float(finding.level.removesuffix(" px")) >= least


def dye_figures(findings: Findings) -> list[Figure]:
    """Each dye and the pen: how many are found at 5 % false alarms on the same photos without."""
    good = findings.of("dye", AS_IS)
    limit = limit_for_false_alarms(good.scores("dye"), 0.05)
    figures = [Figure("photos without: raised as judged", good.raised("dye"), "share")]
    for dye in [*DYES, "pen"]:
        dyed = findings.of("dye", dye)
        found = dyed.above("dye", limit)
        figures.append(at_least(f"{dye}: sensitivity at 5 % false alarms", found, "share", 0.9))
        figures += _judged(dye, dyed, good, "dye")
        # A level is a shape and a strength, or an ink and a mark.
        for part in DYE_STRENGTHS if dye in DYES else PEN_MARKS:
            found = dyed.only(partial(_level_ends_with, str(part))).above("dye", limit)
            figures.append(Figure(f"{dye}, {part}: sensitivity at 5 % false alarms", found, "share"))
    return figures


def _level_ends_with(word: str, finding: Finding) -> bool:
    return finding.level.split()[-1] == word


def hair_figures(findings: Findings) -> list[Figure]:
    """Drawn hair, dark and light, few and many, on photos without clearly visible hair."""
    good = findings.of("hair", AS_IS)
    figures = [Figure("photos without: raised as judged", good.raised("hair"), "share")]
    for kind in findings.of("hair").kinds():
        for count in HAIRS:
            figures += _judged(f"{kind}, {count} hairs", findings.of("hair", kind, f"{count} hairs"), good, "hair")
    return figures


def framing_figures(findings: Findings) -> list[Figure]:
    """Too far and too near, against the same photos as they were composed."""
    figures = []
    for name, levels in (
        ("far", [f"{width:.0%} wide" for width in FAR_WIDTHS]),
        ("near", [f"{shown:.0%} shown" for shown in NEAR_SHOWN]),
    ):
        good, spoilt = findings.of(name, AS_IS), findings.of(name)
        figures.append(at_least(f"{name}: AUC", spoilt.auc_against(good, name), "auc", 0.97))
        figures.append(Figure(f"{name}: photos as composed, raised as judged", good.raised(name), "share"))
        for kind in spoilt.kinds():
            for level in levels:
                figures += _judged(f"{name}, {kind}, {level}", findings.of(name, kind, level), good, name)
    return figures


def light_figures(findings: Findings) -> list[Figure]:
    """Too much and too little light; light of a wrong colour, which should raise no other filter."""
    good = findings.of("light", AS_IS)
    figures = []
    for stops in STOPS:
        name = "bright" if stops > 0 else "dark"
        figures += _judged(f"{stops:+d} stops", findings.of("light", "exposure", f"{stops:+d} stops"), good, name)
    for cast in CASTS:
        lit = findings.of("light", "colour cast", cast)
        figures.append(Figure(f"cast, {cast}: raised by cast", lit.raised("cast"), "share"))
        figures += [Figure(f"cast, {cast}: raised by {n}", lit.raised(n), "share") for n in ("dye", "blur", "not skin")]
        figures.append(Figure(f"cast, {cast}: refused", lit.refused(), "share"))
    coloured = findings.of("light", "colour cast").only(lambda f: f.level in COLOURED_LIGHTS)
    figures.append(Figure("blue, green, yellow, magenta: AUC", coloured.auc_against(good, "cast"), "auc"))
    figures.append(at_most("photos as they are: raised by cast", good.raised("cast"), "share", 0.02))
    return figures


def print_figures(findings: Findings) -> list[Figure]:
    """Names, dates and stickers, against the same photos without."""
    good, printed = findings.of("print", AS_IS), findings.of("print")
    figures = [
        at_least("print: AUC", printed.auc_against(good, "print"), "auc", 0.98),
        at_least("print: raised as judged", printed.raised("print"), "share", 0.9),
        at_most("photos without: raised as judged", good.raised("print"), "share", 0.01),
    ]
    parts = {kind: findings.of("print", kind) for kind in printed.kinds()}
    parts |= {level: printed.only(partial(_level_is, level)) for level in printed.levels()}
    innocent = {
        f"pen, {mark}": findings.of("dye", "pen").only(partial(_level_ends_with, mark)) for mark in PEN_MARKS
    } | {kind: findings.of("hair", kind) for kind in findings.of("hair").kinds()}
    figures += [
        Figure(f"{part}: raised as judged", of_part.raised("print"), "share") for part, of_part in parts.items()
    ]
    figures += [Figure(f"{what}: raised by print", drawn.raised("print"), "share") for what, drawn in innocent.items()]
    return figures


def thing_figures(findings: Findings) -> list[Figure]:
    """Rulers, stickers, plasters and gauzes on the lesion, against the same photos without, and beside it."""
    good, laid = findings.of("things", AS_IS), findings.of("things")
    over, beside = (laid.only(partial(_level_is, place)) for place in PLACES)
    figures = [
        at_least("thing on the lesion: AUC", over.auc_against(good, "thing"), "auc", 0.97),
        at_least("thing on the lesion: raised as judged", over.raised("thing"), "share", 0.75),
        at_most("photos without: raised as judged", good.raised("thing"), "share", 0.03),
        at_most("beside the lesion: raised as judged", beside.raised("thing"), "share", 0.1),
    ]
    figures += [
        Figure(
            f"{thing}, {place} the lesion: raised as judged", laid.of("things", thing, place).raised("thing"), "share"
        )
        for thing in THINGS
        for place in PLACES
    ]
    return figures


def crust_figures(photos: Sequence[RealPhoto], said: Sequence[Said]) -> list[Figure]:
    """Held-out photos whose lesions one lay person rated: crust, scale, exudate or blood over a third and more, or none."""
    rated = {
        word: [(photo.patient_id, s) for photo, s in zip(photos, said, strict=True) if photo.crust == word]
        for word in ("yes", "uncertain", "no")
    }
    people = {word: [person for person, _ in of_word] for word, of_word in rated.items()}
    scores = {word: np.array([s.scores["crust"] for _, s in of_word]) for word, of_word in rated.items()}
    raised = {word: share(["crust" in s.raised for _, s in of_word], people[word]) for word, of_word in rated.items()}
    told = auc(scores["yes"], people["yes"], scores["no"], people["no"])
    return [
        at_least("crust against none: AUC", told, "auc", 0.9),
        at_least("crust: raised as judged", raised["yes"], "share", 0.6),
        at_most("none: raised as judged", raised["no"], "share", 0.05),
        Figure("uncertain: raised as judged", raised["uncertain"], "share"),
    ]


def _level_is(level: str, finding: Finding) -> bool:
    return finding.level == level


def published_figures(said: Mapping[str, list[Said]]) -> list[Figure]:
    """Photos as they were published, by set: what cast, print, faces and things raise in those that nothing was learnt from."""
    return [
        at_most(
            f"{source}: raised by {name}", share([name in s.raised for s in of_set], range(len(of_set))), "share", most
        )
        for source, of_set in said.items()
        for name, most in (("cast", 0.05), ("print", 0.01), ("face", 0.005), ("thing", 0.03))
    ]


def look_alike_figures(findings: Findings) -> list[Figure]:
    """What must pass: raised by dye, blur, hair, cast, print, faces or things in at most 5 %."""
    figures = []
    for kind in [AS_IS, *findings.of("look-alike").kinds()]:
        innocent = findings.of("look-alike", kind)
        for name in ("dye", "blur", "hair", "cast", "print", "face", "thing"):
            raised = innocent.innocent_of(name).raised(name)
            figures.append(at_most(f"{kind}: raised by {name}", raised, "share", 0.05))
        figures.append(Figure(f"{kind}: refused", innocent.refused(), "share"))
    return figures


def tone_figures(findings: Findings) -> list[Figure]:
    """False alarms of every filter on the same photos in six skin tones."""
    return _across_groups({tone: findings.of("tone", tone) for tone in TONES_ITA})


def skin_type_figures(photos: list[RealPhoto], said: list[Said]) -> list[Figure]:
    """The held-out photos without ink as they were taken, by the skin type that was recorded; few are of type IV and over."""
    findings = [
        (photo.fitzpatrick, Finding(photo.name, photo.has_hair, photo.crust, "published", AS_IS, "", words))
        for photo, words in zip(photos, said, strict=True)
        if photo.fitzpatrick
    ]
    types = sorted({skin_type for skin_type, _ in findings}, key=("I", "II", "III", "IV", "V", "VI").index)
    return _across_groups({t: Findings(f for skin_type, f in findings if skin_type == t) for t in types})


def _across_groups(groups: dict[str, Findings]) -> list[Figure]:
    """One line per filter and group, and how far the groups lie apart; less than 3 points are wanted."""
    figures = []
    for name in (*SCORES, "refused"):
        alarms = {g: f.refused() if name == "refused" else f.innocent_of(name).raised(name) for g, f in groups.items()}
        figures += [Figure(f"{name}, {group}", estimate, "share") for group, estimate in alarms.items()]
        lowest, highest = (choose(alarms.values(), key=lambda e: e.value) for choose in (min, max))
        apart = Estimate(
            100 * (highest.value - lowest.value),
            100 * max(0.0, highest.low - lowest.high),
            100 * (highest.high - lowest.low),
            f"{highest.counts} against {lowest.counts}",
        )
        figures.append(at_most(f"{name}: highest less lowest", apart, "points", 3.0))
    return figures


def _judged(what: str, spoilt: Findings, good: Findings, name: str) -> list[Figure]:
    """The score against the controls, and the verdict with the product's cut-offs."""
    return [
        Figure(f"{what}: AUC", spoilt.auc_against(good, name), "auc"),
        Figure(f"{what}: raised by {name} as judged", spoilt.raised(name), "share"),
        Figure(f"{what}: refused", spoilt.refused(), "share"),
    ]
