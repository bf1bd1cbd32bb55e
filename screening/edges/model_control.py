"""Which models a Triton has loaded, and unloading them; needs ``--model-control-mode=explicit``."""

from __future__ import annotations

from collections.abc import Iterable

import tritonclient.grpc as triton_grpc
from tritonclient.utils import InferenceServerException

from screening.errors import ModelServerUnavailableError


def loaded_models(url: str, timeout_s: float) -> frozenset[str]:
    """Names of the models that the server has loaded.

    Raises:
        ModelServerUnavailableError: it does not answer.
    """
    client = triton_grpc.InferenceServerClient(url)
    try:
        return ready_models(client, timeout_s)
    except InferenceServerException as error:
        raise ModelServerUnavailableError(f"{url}: its models cannot be listed: {error.message()}") from error
    finally:
        client.close()


def ready_models(client: triton_grpc.InferenceServerClient, timeout_s: float) -> frozenset[str]:
    """As ``loaded_models``, of a client at hand.

    Raises:
        InferenceServerException: the server does not answer.
    """
    models = client.get_model_repository_index(client_timeout=timeout_s).models
    return frozenset(model.name for model in models if model.state == "READY")


def unload_models(url: str, models: Iterable[str], timeout_s: float) -> None:
    """Unload models; requests that they are working on are finished.

    Raises:
        ModelServerUnavailableError: the server does not answer, or does not let us.
    """
    client = triton_grpc.InferenceServerClient(url)
    try:
        for model in models:
            client.unload_model(model, client_timeout=timeout_s)
    except InferenceServerException as error:
        raise ModelServerUnavailableError(f"{url}: {model} cannot be unloaded: {error.message()}") from error
    finally:
        client.close()
