"""A site's own quality cut-offs: read strictly, named by a digest of their numbers."""

import dataclasses
import math
import re

import pytest

from screening.cutoffs import FILTERS, FLAGS_AND_REFUSALS, LINES, QualityCutoffs
from screening.edges.yaml_file import read_mapping
from screening.errors import ContractError, MissingError
from screening.stages.quality.site_cutoffs import contradictions, site_cutoffs

PRODUCT = QualityCutoffs()


def site(**changed: object) -> QualityCutoffs:
    return site_cutoffs({"name": "north", "cutoffs": changed}, "north.yaml")


def test_a_file_changes_what_it_names_and_nothing_else():
    assert site(flag_hair=0.08) == dataclasses.replace(PRODUCT, name="north", flag_hair=0.08)


def test_a_file_that_changes_nothing_is_the_product_under_another_name():
    assert site() == dataclasses.replace(PRODUCT, name="north")


def test_the_version_is_the_name_and_a_digest_of_all_numbers():
    assert re.fullmatch(r"quality-6-[0-9a-f]{8}", PRODUCT.version)
    assert site(flag_hair=0.08).version.startswith("north-")
    assert site().version.removeprefix("north-") == PRODUCT.version.removeprefix("quality-6-")


@pytest.mark.parametrize("cutoff", LINES)
def test_any_other_number_is_another_version(cutoff):
    changed = dataclasses.replace(PRODUCT, **{cutoff: getattr(PRODUCT, cutoff) * 2})

    assert changed.version != PRODUCT.version


def test_a_whole_number_and_the_same_with_a_point_are_one_version():
    assert site(refuse_detail_from=18).version == site(refuse_detail_from=18.0).version


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"flag_hairs": 0.1}, "'flag_hairs' is no cut-off, expected one of refuse_short_side_px, "),
        ({"name": 0.1}, "'name' is no cut-off"),
        ({"flag_hair": "0.1"}, "flag_hair is '0.1', expected a number"),
        ({"flag_hair": None}, "flag_hair is None, expected a number"),
        ({"flag_hair": True}, "flag_hair is True, expected a number"),
        ({"flag_short_side_px": 224.5}, "flag_short_side_px is 224.5, expected a whole number"),
        ({"flag_hair": math.nan}, "flag_hair is nan, expected a number from 0 to 1"),
        ({"refuse_detail_from": math.inf}, "refuse_detail_from is inf, expected a number from 0 to inf"),
        ({"flag_rim": math.nextafter(1, 2)}, "flag_rim is 1.0000000000000002, expected a number from 0 to 1"),
        ({"flag_rim": math.nextafter(0, -1)}, "flag_rim is -5e-324, expected a number from 0 to 1"),
    ],
)
def test_a_number_that_cannot_be_meant_is_told_by_its_name(changed, told):
    with pytest.raises(ContractError, match=r"^quality cut-offs north\.yaml: ") as refused:
        site(**changed)

    assert told in str(refused.value)


@pytest.mark.parametrize("limit", [0, 1])
def test_a_cutoff_may_lie_at_either_end_of_its_measure(limit):
    assert site(flag_rim=limit).flag_rim == limit


@pytest.mark.parametrize(("flag", "refusal"), FLAGS_AND_REFUSALS)
def test_a_flag_may_be_as_mild_as_its_refusal_and_not_milder(flag, refusal):
    limit = getattr(PRODUCT, refusal)
    least = LINES[flag].side == "below"
    milder = limit - 1 if isinstance(limit, int) else math.nextafter(limit, -math.inf if least else math.inf)

    assert getattr(site(**{flag: limit}), flag) == limit
    with pytest.raises(ContractError, match=f"{flag} is .*, expected at {'least' if least else 'most'} {refusal}, "):
        site(**{flag: milder})


def test_some_value_of_a_measure_must_be_left_to_be_accepted():
    limit = PRODUCT.refuse_detail_from
    assert site(refuse_detail_below=math.nextafter(limit, 0)).refuse_detail_below < limit

    with pytest.raises(ContractError, match="refuse_detail_below is 16, expected less than refuse_detail_from, 16"):
        site(refuse_detail_below=limit)


def test_the_products_own_cutoffs_do_not_contradict_each_other():
    assert list(contradictions(PRODUCT)) == []


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"cutoffs": {}}, "name is None, expected at most 40"),
        ({"name": "North", "cutoffs": {}}, "name is 'North', expected at most 40"),
        ({"name": "n" * 41, "cutoffs": {}}, "expected at most 40"),
        ({"name": "../north", "cutoffs": {}}, "name is '../north'"),
        ({"name": "north"}, "cutoffs is None, expected the numbers"),
        ({"name": "north", "cutoffs": [0.1]}, r"cutoffs is [0.1], expected the numbers"),
        ({"name": "north", "cutoffs": {}, "flag_hair": 0.1}, "'flag_hair' is unknown, expected name and cutoffs"),
    ],
)
def test_a_file_has_a_name_and_cutoffs_and_nothing_else(fields, told):
    with pytest.raises(ContractError) as refused:
        site_cutoffs(fields, "north.yaml")

    assert told in str(refused.value)


def test_all_that_is_wrong_in_a_file_is_told_at_once():
    with pytest.raises(ContractError, match=r"'hairs' is no cut-off.*; flag_dye is 'x', expected a number"):
        site(hairs=1, flag_dye="x")


def test_every_filter_has_a_flag_and_a_refusal():
    kinds = {tuple(name.split("_")[0] for name in names) for names in FILTERS.values()}

    assert kinds <= {("flag",), ("flag", "refuse")}
    assert {name for names in FILTERS.values() for name in names} <= set(LINES)


def test_a_file_is_read_by_its_names(tmp_path):
    file = tmp_path / "north.yaml"
    file.write_text("name: north\ncutoffs:\n  flag_hair: 0.08\n")

    assert read_mapping(file) == {"name": "north", "cutoffs": {"flag_hair": 0.08}}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"cutoffs:\n  flag_hair: 0.1\n  flag_hair: 0.2\n", "named twice: flag_hair"),
        (b"- flag_hair\n", "holds list, expected names with values"),
        (b"", "holds NoneType, expected names with values"),
        (b"name: [north\n", "is not in order: while parsing"),
        (b"name: !!python/object:os.system x\n", "is not in order: could not determine a constructor"),
        (b"name: \xff\n", "is not in order: 'utf-8'"),
    ],
)
def test_a_file_that_is_not_names_with_values_is_told_by_its_path(tmp_path, text, told):
    file = tmp_path / "north.yaml"
    file.write_bytes(text)

    with pytest.raises(ContractError, match=re.escape(str(file))) as refused:
        read_mapping(file)
    assert told in str(refused.value)


def test_a_file_that_does_not_exist_is_told_by_its_path(tmp_path):
    with pytest.raises(MissingError, match=r"north\.yaml cannot be read: No such file"):
        read_mapping(tmp_path / "north.yaml")
