"""ModelServer against a real Triton that is killed, frozen and fed what it cannot take."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Set
from dataclasses import replace

import numpy as np
import pytest

from screening.edges.model_server import Inferred, ModelServer
from screening.edges.release import MemberOfRelease, Release
from screening.errors import ContractError, MissingError, ModelServerUnavailableError, ScreeningError
from tests.integration.faulty_proxy import SilentProxy
from tests.integration.triton_fixture import (
    ANSWERS_LOGITS,
    ANSWERS_NAN,
    FAILS_EVERY_OTHER_TIME,
    MEMBERS,
    RAISES,
    SIDE,
    TAKES_A_SECOND,
    TritonUnderTest,
    expected_answer,
    photo,
    running_triton,
    tiny_release,
)

pytestmark = pytest.mark.triton


@pytest.fixture(scope="module")
def triton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonUnderTest]:
    with running_triton(tmp_path_factory.mktemp("triton")) as triton:
        with connect(triton) as server:
            server.wait_until_ready(90)
        yield triton


@pytest.fixture
def broken_triton(triton: TritonUnderTest) -> Iterator[TritonUnderTest]:
    """The same server for a test that breaks it; afterwards it is a new one."""
    yield triton
    triton.kill()
    triton.start()
    with connect(triton) as server:
        server.wait_until_ready(90)


def connect(triton: TritonUnderTest, release: Release | None = None, **settings: object) -> ModelServer:
    defaults: dict[str, object] = {
        "timeout_s": 20.0, "attempts": 40, "in_flight": 3, "batch_photos": 4, "wait_s": lambda _: 0.25,
    }  # fmt: skip
    return ModelServer(triton.url, release or tiny_release(), **(defaults | settings))


def photos(count: int, orders: dict[int, int] | None = None) -> list[tuple[str, np.ndarray]]:
    return [(f"photo-{n}", photo(n, (orders or {}).get(n, 0))) for n in range(count)]


def assert_answered(answers: list[Inferred], given: list[tuple[str, np.ndarray]], but: Set[int] = frozenset()) -> None:
    """Every photo has its own answer, in order, and those in ``but`` have an error instead."""
    assert [a.photo_id for a in answers] == [photo_id for photo_id, _ in given]
    for number, (answer, (_, pixels)) in enumerate(zip(answers, given, strict=True)):
        if number in but:
            assert answer.probabilities is None
            assert answer.error
        else:
            assert answer.error is None
            assert answer.probabilities is not None
            np.testing.assert_allclose(answer.probabilities, expected_answer(pixels), atol=1e-5)


def test_every_photo_gets_its_own_answer_from_every_member_in_order(triton):
    given = photos(18)  # the last batch is not full
    with connect(triton) as server:
        answers = list(server.infer(given))
    assert_answered(answers, given)
    assert answers[0].probabilities is not None
    assert answers[0].probabilities.shape == (2, 3)


def test_one_server_answers_many_requests_after_another(triton):
    with connect(triton) as server:
        for given in (photos(1), photos(9), []):
            assert_answered(list(server.infer(given)), given)


def test_photos_are_read_only_a_little_ahead_of_the_answers(triton):
    read = 0

    def counted() -> Iterator[tuple[str, np.ndarray]]:
        nonlocal read
        for each in photos(100):
            read += 1
            yield each

    with connect(triton, in_flight=2, batch_photos=4) as server:
        for answered, _ in enumerate(server.infer(counted())):
            assert read - answered <= (2 + 2) * 4  # in flight, one waiting, the one being handed out
    assert read == 100


@pytest.mark.parametrize(("in_flight", "queued_s"), [(1, (0.0, 0.9)), (3, (1.9, 60.0))])
def test_as_many_requests_are_in_flight_as_allowed(triton, in_flight, queued_s):
    # A member takes one request at a time, for a second each: what else is in flight waits in its queue.
    given = photos(4, dict.fromkeys(range(4), TAKES_A_SECOND))
    before = triton.seconds_in_queue(MEMBERS[0])
    with connect(triton, in_flight=in_flight, batch_photos=1) as server:
        assert_answered(list(server.infer(given)), given)
    least, most = queued_s
    assert least <= triton.seconds_in_queue(MEMBERS[0]) - before <= most


def test_an_answer_is_handed_out_before_the_last_photo_was_read(triton):
    def endless() -> Iterator[tuple[str, np.ndarray]]:
        number = 0
        while True:
            yield f"photo-{number}", photo(number)
            number += 1

    with connect(triton) as server:
        answers = server.infer(endless())
        assert next(answers).photo_id == "photo-0"
        answers.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("bad", [0, 5, 7])
def test_only_the_photo_that_the_model_cannot_take_goes_without_an_answer(triton, bad):
    given = photos(8, {bad: RAISES})
    with connect(triton, batch_photos=8, attempts=1) as server:
        answers = list(server.infer(given))
    assert_answered(answers, given, but={bad})
    assert "too much for me" in str(answers[bad].error)


def test_a_photo_that_failed_once_is_asked_about_again_before_it_is_blamed(triton):
    given = photos(1, {0: FAILS_EVERY_OTHER_TIME})
    with connect(triton, attempts=1) as server:
        assert_answered(list(server.infer(given)), given)


def test_several_bad_photos_in_one_batch_are_all_found(triton):
    given = photos(8, {1: RAISES, 2: RAISES, 6: ANSWERS_NAN, 7: ANSWERS_LOGITS})
    with connect(triton, batch_photos=8, attempts=1) as server:
        answers = list(server.infer(given))
    assert_answered(answers, given, but={1, 2, 6, 7})
    assert "not finite" in str(answers[6].error)
    assert "sum to 15" in str(answers[7].error)


@pytest.mark.parametrize(
    "pixels", [np.zeros((SIDE, SIDE - 1, 3), np.uint8), np.zeros((SIDE, SIDE, 3), np.float32), np.zeros((3,), np.uint8)]
)
def test_pixels_of_another_shape_or_type_are_not_sent_and_cost_the_neighbours_nothing(triton, pixels):
    given = photos(4)
    given[2] = ("odd", pixels)
    with connect(triton, attempts=1) as server:
        answers = list(server.infer(given))
    assert_answered(answers, given, but={2})
    assert "expected uint8 (256, 256, 3)" in str(answers[2].error)


def test_a_batch_larger_than_the_model_allows_is_sent_in_halves(triton):
    given = photos(40)  # the models take 32
    with connect(triton, batch_photos=40, attempts=1) as server:
        assert_answered(list(server.infer(given)), given)


def test_an_answer_with_other_classes_than_the_release_stops_everything(triton):
    release = replace(tiny_release(), classes=("nevus", "melanoma"))
    with connect(triton, release, attempts=1) as server:
        with pytest.raises(ContractError, match=r"expected shape \(4, 2\)"):
            list(server.infer(photos(4)))
        with pytest.raises(ModelServerUnavailableError, match="canary"):
            server.canary()


def test_an_output_that_the_model_does_not_have_stops_everything(triton):
    members = (*tiny_release().members, MemberOfRelease("lesion_other", "1", "0" * 64, "probabilities_lesion_other"))
    with (
        connect(triton, replace(tiny_release(), members=members), attempts=1) as server,
        pytest.raises(ContractError, match=r"does not fit the release: .*probabilities_lesion_other"),
    ):
        list(server.infer(photos(4)))


def test_a_model_of_another_input_shape_is_noticed_at_once(triton):
    release = replace(tiny_release(), input_shape=(SIDE, 100, 3))
    given = [("photo-0", np.zeros((SIDE, 100, 3), np.uint8))]
    with connect(triton, release) as server:
        with pytest.raises(ContractError, match="does not fit the release"):
            list(server.infer(given))
        with pytest.raises(ModelServerUnavailableError, match="unexpected shape"):
            server.canary(heal=True)


@pytest.mark.parametrize("ask", [lambda server: server.canary(heal=True), lambda server: list(server.infer(photos(4)))])
def test_a_model_that_is_not_there_is_missing_at_once(triton, ask):
    release = replace(tiny_release(), model="lesion_ensemble_r0002")
    started = time.monotonic()
    with connect(triton, release) as server, pytest.raises(MissingError, match="lesion_ensemble_r0002"):
        ask(server)
    assert time.monotonic() - started < 5


def test_the_canary_is_answered_by_a_healthy_server(triton):
    with connect(triton, attempts=1) as server:
        server.canary()
        server.wait_until_ready(1)
        assert server.heal() == ()


def test_a_server_that_is_not_there_is_unavailable_after_all_attempts():
    waits: list[int] = []

    def wait_s(failures: int) -> float:
        waits.append(failures)
        return 0.0

    nobody = ModelServer(
        "127.0.0.1:9", tiny_release(),
        timeout_s=2, attempts=3, in_flight=1, batch_photos=4, wait_s=wait_s,
    )  # fmt: skip
    with nobody as server:
        with pytest.raises(ModelServerUnavailableError, match="after 3 attempts"):
            list(server.infer(photos(1)))
        assert waits == [1, 2]
        with pytest.raises(ModelServerUnavailableError, match="after 3 attempts"):
            server.canary(heal=True)
        with pytest.raises(ModelServerUnavailableError, match="not ready after 1 s"):
            server.wait_until_ready(1)


def test_leaving_does_not_wait_for_the_next_attempt(triton):
    nobody = ModelServer(
        "127.0.0.1:9", tiny_release(),
        timeout_s=2, attempts=3, in_flight=2, batch_photos=1, wait_s=lambda _: 600.0,
    )  # fmt: skip
    started = time.monotonic()
    with nobody as server:
        answers = server.infer(photos(2))
        asking = threading.Thread(target=_expect_to_be_let_go, args=(answers,))
        asking.start()
        time.sleep(0.5)
    asking.join(10)
    assert not asking.is_alive()
    assert time.monotonic() - started < 10


def test_a_server_killed_in_the_middle_and_started_again_costs_no_photo(broken_triton):
    given = photos(60)
    answers: list[Inferred] = []
    with connect(broken_triton) as server:
        for answer in server.infer(given):
            answers.append(answer)
            if len(answers) == 10:
                broken_triton.kill()
                _later(1.0, broken_triton.start)
    assert_answered(answers, given)


def test_a_server_killed_for_good_is_unavailable_and_what_came_before_was_right(broken_triton):
    given = photos(60)
    answers: list[Inferred] = []

    def ask_and_kill(server: ModelServer) -> None:
        for answer in server.infer(given):
            answers.append(answer)
            if len(answers) == 10:
                broken_triton.kill()

    with connect(broken_triton, attempts=3) as server, pytest.raises(ModelServerUnavailableError, match="UNAVAILABLE"):
        ask_and_kill(server)
    assert 10 <= len(answers) < 60
    assert_answered(answers, given[: len(answers)])


def test_a_network_that_falls_silent_and_comes_back_costs_no_photo(triton):
    given = photos(40)
    answers: list[Inferred] = []
    with (
        SilentProxy("127.0.0.1", triton.ports.grpc) as proxy,
        ModelServer(
            proxy.address, tiny_release(),
            timeout_s=1.0, attempts=40, in_flight=3, batch_photos=4, wait_s=lambda _: 0.1,
        ) as server,
    ):  # fmt: skip
        for answer in server.infer(given):
            answers.append(answer)
            if len(answers) == 10:
                proxy.silent_for(2.5)
    assert_answered(answers, given)


@pytest.mark.parametrize("batch_photos", [1, 4])
def test_a_member_that_dies_in_the_middle_is_loaded_anew_and_no_photo_is_blamed(broken_triton, batch_photos):
    given = photos(60)
    answers: list[Inferred] = []
    with connect(broken_triton, batch_photos=batch_photos) as server:
        for answer in server.infer(given):
            answers.append(answer)
            if len(answers) == 10:
                broken_triton.kill_member(MEMBERS[1])
    assert_answered(answers, given)


def test_a_dead_member_fails_the_canary_though_triton_calls_it_ready(broken_triton):
    broken_triton.kill_member(MEMBERS[0])
    with connect(broken_triton, attempts=2) as server:
        with pytest.raises(ModelServerUnavailableError, match="not healthy"):
            server.canary()
        server.canary(heal=True)
        server.canary()


def test_a_member_can_die_and_be_healed_again_and_again(broken_triton):
    # A plain load heals at most once: the first one notices that Python wrote its cache beside model.py.
    with connect(broken_triton, attempts=1) as server:
        for _ in range(3):
            broken_triton.kill_member(MEMBERS[0])
            assert server.heal() == (MEMBERS[0],)
            server.canary()


def test_healing_one_member_fails_no_request_of_others(broken_triton):
    failed: list[Exception] = []
    answered = 0
    is_over = threading.Event()

    def ask_all_the_time() -> None:
        nonlocal answered
        with connect(broken_triton, attempts=1) as other:
            while not is_over.is_set():
                try:
                    other.canary()
                    answered += 1
                except ScreeningError as error:
                    failed.append(error)

    with connect(broken_triton) as server:
        server._load_anew(MEMBERS[0])
        asking = threading.Thread(target=ask_all_the_time)
        asking.start()
        for _ in range(3):
            server._load_anew(MEMBERS[0])
        is_over.set()
        asking.join(30)
    assert failed == []
    assert answered > 10


def _expect_to_be_let_go(answers: Iterator[Inferred]) -> None:
    with pytest.raises(ModelServerUnavailableError, match="closed"):
        next(answers)


def _later(seconds: float, do: Callable[[], None]) -> None:
    threading.Timer(seconds, do).start()
