"""Triton over gRPC: photos in, one row of probabilities per member out.

Who is to blame decides what happens when a request fails. The server is, if it does not answer or fails at a picture of
our own too (the canary): then the request is tried again, and a dead member is loaded anew. The photos are, if the
canary is answered: then the batch is halved until the one that the model cannot take is alone.
"""

from __future__ import annotations

import itertools
import json
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import tritonclient.grpc as triton_grpc
from tritonclient.utils import InferenceServerException

from screening.edges import backoff
from screening.edges.model_control import ready_models
from screening.edges.release import Release
from screening.errors import AccessError, ContractError, MissingError, ModelServerUnavailableError, ScreeningError

log = logging.getLogger(__name__)

# The server says nothing about the photos with these: it is gone, too slow or overloaded.
_PASSING = {"UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "CANCELLED", "ABORTED"}
_REFUSED = {"UNAUTHENTICATED", "PERMISSION_DENIED"}
_INVALID = "INVALID_ARGUMENT"
_SUM_TOLERANCE = 1e-3
# gRPC lets the pause between two tries to connect grow to two minutes: our attempts would be over before the next one.
_CHANNEL = [
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.initial_reconnect_backoff_ms", 500),
    ("grpc.max_reconnect_backoff_ms", 2000),
]
_POLL_S = 0.5
_NOT_ALLOWED = "not allowed"
"""How Triton words that it was not started with ``--model-control-mode=explicit``."""

_Photo = tuple[str, np.ndarray]


@dataclass(frozen=True)
class Inferred:
    """What the members say of one photo: ``probabilities``, shape (members, classes), 0..1, or why there are none.

    ``distances``: shape (members,), how far the photo is from the training photos; None where the release does not say.
    ``heat_maps``: for each member that has one, where it sees each disease, shape (classes, rows, columns); empty where
    they were not asked for.
    """

    photo_id: str
    probabilities: np.ndarray | None
    error: str | None
    distances: np.ndarray | None = None
    heat_maps: tuple[np.ndarray, ...] = ()


@dataclass(frozen=True)
class _Answer:
    """The tensors of one photo, before anybody looked at them; as ``Inferred``."""

    probabilities: np.ndarray
    distances: np.ndarray | None
    heat_maps: tuple[np.ndarray, ...]


class _RefusedError(Exception):
    """The server is well and cannot answer these photos."""


class ModelServer:
    """A Triton that serves a release; a context manager, which sends nothing before it is asked.

    Requests run in ``in_flight`` threads, each with a client of its own: tritonclient keeps the call that it is about
    to hand out in the client itself, so two threads must not share one. Blocking calls in threads rather than callbacks,
    since a batch's retries and halvings then read as what they are, one after the other.

    Args:
        url: ``host:port`` of Triton's gRPC.
        release: names the ensemble, its outputs and the shape of its input.
        timeout_s: deadline of one request, its time in the server's queue included.
        attempts: tries per request.
        in_flight: requests at once.
        batch_photos: photos per request.
        with_heat_maps: ask for the heat maps, too, of those members that have them.
        wait_s: seconds to wait after so many failures of a request.
    """

    def __init__(  # noqa: PLR0913  # what a client of a busy server is told, each by its name
        self,
        url: str,
        release: Release,
        *,
        timeout_s: float,
        attempts: int,
        in_flight: int,
        batch_photos: int,
        with_heat_maps: bool = False,
        wait_s: Callable[[int], float] = backoff.wait_s,
    ) -> None:
        self._url = url
        self._release = release
        self._timeout_s = timeout_s
        self._attempts = attempts
        self._in_flight = in_flight
        self._batch_photos = batch_photos
        self._outputs = [
            output
            for member in release.members
            for output in (member.output, member.distance_output, with_heat_maps and member.heat_maps_output)
            if output
        ]
        self._with_heat_maps = with_heat_maps
        self._wait_s = wait_s
        self._pool = ThreadPoolExecutor(in_flight, thread_name_prefix="triton")
        self._of_thread = threading.local()
        self._clients: list[triton_grpc.InferenceServerClient] = []
        self._is_closing = threading.Event()
        self._healing = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._is_closing.set()
        for client in self._clients:  # ends the requests that nobody waits for any more
            client.close()
        self._pool.shutdown(cancel_futures=True)

    def infer(self, photos: Iterable[_Photo]) -> Iterator[Inferred]:
        """One answer per photo, in their order; a release that is not loaded is loaded.

        Reads at most ``in_flight + 1`` batches ahead of what it has answered.

        Args:
            photos: photo id and pixels, uint8, of the release's input shape.

        Raises:
            ModelServerUnavailableError: the server did not answer, or failed at the canary too, through all attempts.
            MissingError: it does not have the release's model, and cannot load it.
            AccessError: it refuses us.
            ContractError: it answers with other tensors than the release says.
        """
        waiting: deque[Future[list[Inferred]]] = deque()
        remaining = iter(photos)
        try:
            while batch := list(itertools.islice(remaining, self._batch_photos)):
                waiting.append(self._pool.submit(self._answer, batch))
                if len(waiting) > self._in_flight:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()

    def load(self, within_s: float | None = None) -> None:
        """Load the release beside what the server serves; what is loaded already stays as it is.

        The members come first, so that one that cannot be loaded is named. Needs ``--model-control-mode=explicit``.

        Args:
            within_s: how long they may take together; None: each as long as four requests.

        Raises:
            MissingError: the server does not have them, cannot load them, or does not let us.
            AccessError: it refuses us.
            ModelServerUnavailableError: it does not answer.
        """
        until = None if within_s is None else time.monotonic() + within_s
        # Triton would look through the files of a model that it has loaded, which takes seconds while it is busy.
        loaded = self._loaded()
        for model in (*(member.name for member in self._release.members), self._release.model):
            if model in loaded:
                continue
            try:
                left_s = 4 * self._timeout_s if until is None else max(until - time.monotonic(), 0.001)
                self._client().load_model(model, client_timeout=left_s)
            except InferenceServerException as error:
                if _status(error) in _REFUSED or (_status(error) in _PASSING and _NOT_ALLOWED not in error.message()):
                    raise self._translated(error, f"{model} was not loaded") from error
                raise MissingError(f"{self._name}: {model} cannot be loaded: {error.message()}") from error

    def _loaded(self) -> frozenset[str]:
        try:
            return ready_models(self._client(), self._timeout_s)
        except InferenceServerException as error:
            raise self._translated(error, "its models were not listed") from error

    def canary(self, heal: bool = False) -> None:
        """Ask for one picture of our own, since Triton calls a model ready whose process has died.

        Args:
            heal: load what is not loaded, and dead members anew, once, before giving up.

        Raises:
            MissingError: the server does not have the release's model, or not loaded.
            AccessError: it refuses us.
            ModelServerUnavailableError: it does not answer through all attempts, or not with probabilities.
        """
        try:
            answer = self._ask(_canary_pixels(self._release), heal=heal, is_canary=True)
        except ContractError as error:
            raise ModelServerUnavailableError(f"canary: {error}") from error
        problem = self._problem(answer[0])
        if problem:
            raise ModelServerUnavailableError(f"canary: {self._name} answered, but {problem}")

    def wait_until_ready(self, seconds: float) -> None:
        """Wait until the canary is answered.

        Raises:
            ModelServerUnavailableError: it was not, within ``seconds``.
            MissingError: the model was still missing at the end.
        """
        deadline = time.monotonic() + seconds
        while True:
            remaining_s = max(deadline - time.monotonic(), 0.0)
            try:
                # A poll of its own length even at the end, or a server that is just ready would be called late.
                timeout_s = min(self._timeout_s, max(remaining_s, _POLL_S))
                self._request(self._release.model, _canary_pixels(self._release), timeout_s=timeout_s)
                break
            except InferenceServerException as error:
                if remaining_s == 0:
                    raise self._translated(error, f"not ready after {seconds:.0f} s") from error
                time.sleep(min(_POLL_S, remaining_s))
        self.canary()

    def heal(self) -> tuple[str, ...]:
        """Load those members anew that do not answer the canary; needs ``--model-control-mode=explicit``.

        Returns:
            Their names; none when the server does not let us, or does not answer at all.

        A load with a changed configuration replaces a model in place: requests of others are answered all the while.
        (A plain load does nothing, since no file has changed. Unload and load leave a gap in which every request fails,
        and keep a dead member that is not unloaded by then.) The change is a parameter that nobody reads; it is gone
        when the server starts again.
        """
        healed: list[str] = []
        with self._healing:
            for member in self._release.members:
                try:
                    self._request(member.name, _canary_pixels(self._release), version=member.version)
                    continue
                except InferenceServerException as error:
                    if _status(error) in _PASSING:
                        break
                try:
                    self._load_anew(member.name)
                except InferenceServerException as error:
                    log.warning("triton %s: %s cannot be loaded anew: %s", self._url, member.name, error.message())
                    break
                log.warning("triton %s: %s was dead and was loaded anew", self._url, member.name)
                healed.append(member.name)
        return tuple(healed)

    def _load_missing(self, failure: MissingError) -> None:
        with self._healing:
            try:
                self.load()
            except MissingError as error:
                raise MissingError(f"{failure}; {error}") from error
        log.warning("triton %s: %s was not loaded, and is now", self._url, self._release.model)

    def _load_anew(self, model: str) -> None:
        client = self._client()
        config = client.get_model_config(model, as_json=True, client_timeout=self._timeout_s)["config"]
        config.setdefault("parameters", {})["loaded_anew_at"] = {"string_value": str(time.time())}
        # Loading takes longer than an inference.
        client.load_model(model, config=json.dumps(config), client_timeout=4 * self._timeout_s)

    def _answer(self, batch: list[_Photo]) -> list[Inferred]:
        """Answers for a batch, whatever it holds."""
        shape = self._release.input_shape
        is_fit = [pixels.shape == shape and pixels.dtype == np.uint8 for _, pixels in batch]
        answers = iter(self._answer_halving(list(itertools.compress(batch, is_fit))))
        return [
            next(answers)
            if fits
            else Inferred(photo_id, None, f"pixels are {pixels.dtype} {pixels.shape}, expected uint8 {shape}")
            for (photo_id, pixels), fits in zip(batch, is_fit, strict=True)
        ]

    def _answer_halving(self, batch: list[_Photo], was_refused: bool = False) -> list[Inferred]:
        if not batch:
            return []
        try:
            given = self._ask(np.stack([pixels for _, pixels in batch]), heal=True)
        except _RefusedError as error:
            if len(batch) > 1:
                middle = len(batch) // 2
                return self._answer_halving(batch[:middle]) + self._answer_halving(batch[middle:])
            # Once more, alone: a member may have died and been healed between the photo and the canary.
            if not was_refused:
                return self._answer_halving(batch, was_refused=True)
            return [Inferred(batch[0][0], None, str(error))]
        return [self._checked(photo_id, answer) for (photo_id, _), answer in zip(batch, given, strict=True)]

    def _checked(self, photo_id: str, answer: _Answer) -> Inferred:
        problem = self._problem(answer)
        if problem:
            return Inferred(photo_id, None, problem)
        return Inferred(photo_id, answer.probabilities, None, answer.distances, answer.heat_maps)

    def _ask(self, pixels: np.ndarray, *, heal: bool, is_canary: bool = False) -> list[_Answer]:
        """Ask until there is an answer for each photo, or no hope.

        Raises:
            _RefusedError: these photos are to blame.
            ScreeningError: the server is.
        """
        failures = 0
        while True:
            try:
                result = self._request(self._release.model, pixels, outputs=self._outputs)
                break
            except InferenceServerException as error:
                failures += 1
                failure = self._translated(error, f"no answer after {failures} attempts")
                if isinstance(failure, MissingError) and heal:
                    # A night keeps its release, which the server may have unloaded since, or lost when it started again.
                    heal, failures = False, failures - 1
                    self._load_missing(failure)
                    continue
                if not isinstance(failure, ModelServerUnavailableError):
                    raise failure from error
                if _status(error) not in _PASSING:
                    if not is_canary and self._canary_is_answered():
                        raise _RefusedError(error.message()) from error
                    if heal:
                        heal, failures = False, failures - 1
                        self.heal()
                        continue
                if failures >= self._attempts or (is_canary and _status(error) == _INVALID):
                    raise failure from error
                self._wait(failures, error)
        return self._tensors(result, len(pixels))

    def _canary_is_answered(self) -> bool:
        """Whether the server is well, so that the photos are to blame.

        Raises:
            ContractError: it calls the canary invalid: it serves another model than the release says.
        """
        try:
            self._request(self._release.model, _canary_pixels(self._release), outputs=self._outputs)
        except InferenceServerException as error:
            if _status(error) == _INVALID:
                raise ContractError(f"{self._name} does not fit the release: {error.message()}") from error
            return False
        return True

    def _request(
        self,
        model: str,
        pixels: np.ndarray,
        version: str = "",
        timeout_s: float | None = None,
        outputs: Sequence[str] = (),
    ) -> Any:
        """One request; only ``outputs`` come back, or every one when none is named."""
        tensor = triton_grpc.InferInput("pixels", list(pixels.shape), "UINT8")
        tensor.set_data_from_numpy(pixels)
        return self._client().infer(
            model,
            [tensor],
            model_version=version,
            outputs=[triton_grpc.InferRequestedOutput(output) for output in outputs] or None,
            client_timeout=timeout_s or self._timeout_s,
        )

    def _client(self) -> triton_grpc.InferenceServerClient:
        """The calling thread's own client; to make one connects nowhere yet."""
        if not hasattr(self._of_thread, "client"):
            self._of_thread.client = triton_grpc.InferenceServerClient(self._url, channel_args=_CHANNEL)
            self._clients.append(self._of_thread.client)
        return self._of_thread.client

    def _tensors(self, result: Any, photos: int) -> list[_Answer]:
        """Every member's outputs, photo by photo."""
        members, classes = self._release.members, len(self._release.classes)

        def tensor(output: str, shape: tuple[int | None, ...]) -> np.ndarray:
            answer = result.as_numpy(output)
            if answer is None or _unlike(answer.shape, (photos, *shape)):
                found = "nothing" if answer is None else f"shape {answer.shape}"
                expected = str((photos, *shape)).replace("None", "any")
                raise ContractError(f"{self._name}: {output} is {found}, expected shape {expected}")
            return np.asarray(answer)

        probabilities = np.stack([tensor(m.output, (classes,)) for m in members], axis=1)
        of_members = [tensor(m.distance_output, (1,))[:, 0] for m in members if m.distance_output]
        distances = np.stack(of_members, axis=1) if len(of_members) == len(members) else None
        heat_maps = [
            tensor(m.heat_maps_output, (classes, None, None))
            for m in members
            if m.heat_maps_output and self._with_heat_maps
        ]
        return [
            _Answer(probabilities[i], None if distances is None else distances[i], tuple(maps[i] for maps in heat_maps))
            for i in range(photos)
        ]

    def _problem(self, answer: _Answer) -> str | None:
        """What is wrong with the members' answers for one photo."""
        for place, member in enumerate(self._release.members):
            distance = 0.0 if answer.distances is None else answer.distances[place]
            if not (np.isfinite(distance) and distance >= 0):
                return f"{member.name} gave the distance {distance:.3g}, expected a number from 0"
        for member, probabilities in zip(self._release.members, answer.probabilities, strict=True):
            if not np.isfinite(probabilities).all():
                return f"{member.name} gave values that are not finite"
            total = float(probabilities.sum())
            if probabilities.min() < 0 or abs(total - 1.0) > _SUM_TOLERANCE:
                return (
                    f"{member.name} gave no probabilities: they span {probabilities.min():.3g} to "
                    f"{probabilities.max():.3g} and sum to {total:.3g}, expected 1"
                )
        return None

    def _wait(self, failures: int, error: InferenceServerException) -> None:
        wait_s = self._wait_s(failures)
        log.warning(
            "triton %s: %s, attempt %d of %d, next in %.1f s",
            self._url, _status(error), failures, self._attempts, wait_s,
        )  # fmt: skip
        if self._is_closing.wait(wait_s):
            raise ModelServerUnavailableError(f"{self._name}: closed while waiting for the next attempt") from error

    def _translated(self, error: InferenceServerException, what: str) -> ScreeningError:
        status = _status(error)
        if status == "NOT_FOUND":
            return MissingError(f"{self._name} is missing or not loaded: {error.message()}")
        if status in _REFUSED:
            return AccessError(f"{self._name}: {error.message()}")
        return ModelServerUnavailableError(f"{self._name}: {what}: {status}: {error.message()}")

    @property
    def _name(self) -> str:
        return f"{self._release.model} at {self._url}"


def _canary_pixels(release: Release) -> np.ndarray:
    """The same picture every time, shape (1, height, width, 3), uint8: a ramp down, a ramp across and their mean."""
    height, width, _ = release.input_shape
    down = np.broadcast_to(np.linspace(0, 255, height)[:, None], (height, width))
    across = np.broadcast_to(np.linspace(0, 255, width)[None, :], (height, width))
    return np.stack([down, across, (down + across) / 2], axis=-1).astype(np.uint8)[None]


def _unlike(shape: Sequence[int], expected: Sequence[int | None]) -> bool:
    """Whether a shape is another; None stands for any number."""
    return len(shape) != len(expected) or any(w not in (None, n) for n, w in zip(shape, expected, strict=True))


def _status(error: InferenceServerException) -> str:
    return (error.status() or "no status").removeprefix("StatusCode.")
