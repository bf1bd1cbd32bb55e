"""Recipes: every choice of a training run, as data. The files lie in ``recipes/``; no torch is needed to read them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from screening.errors import MissingError, SettingsError

RECIPES = Path(__file__).parent / "recipes"


class RecipePart(BaseModel):
    """A part of a recipe: frozen, and an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


# Augmentations, in the order of the list in the recipe. Each model is the options of a function in ``augment``.


class TurnAndFrame(RecipePart):
    """Any turn, mirror, zoom, stretch and shift, the rim mirrored outwards: a phone is held anyhow."""

    name: Literal["turn_and_frame"] = Field(description="the augmentation")
    zoom: tuple[float, float] = Field(
        default=(0.7, 1.15), description="side of the part that is seen, as a share of the frame: least and most"
    )
    stretch: float = Field(default=0.15, ge=0, description="log of the largest stretch of one side against the other")
    shift: float = Field(default=0.12, ge=0, lt=1, description="largest shift, as a share of half the frame")


class RotateAndCrop(RecipePart):
    """Rotation by 0 to 359 degrees, then the largest upright rectangle inside, then a flip (Esteva et al. 2017)."""

    name: Literal["rotate_and_crop"] = Field(description="the augmentation")
    flip_share: float = Field(default=0.5, ge=0, le=1, description="share of the photos that are flipped top to bottom")


class Mirror(RecipePart):
    """Left and right exchanged."""

    name: Literal["mirror"] = Field(description="the augmentation")
    share: float = Field(default=0.5, ge=0, le=1, description="share of the photos that are mirrored")


class Defocus(RecipePart):
    """A box blur: any focus."""

    name: Literal["defocus"] = Field(description="the augmentation")
    share: float = Field(default=0.15, ge=0, le=1, description="share of the photos that are blurred")
    largest_px: int = Field(default=7, ge=3, le=15, description="largest side of the box, odd")


class Lamp(RecipePart):
    """Exposure, contrast, saturation and white balance: any lamp. Each number is the log of the largest factor."""

    name: Literal["lamp"] = Field(description="the augmentation")
    exposure: float = Field(default=0.25, ge=0, description="all channels together")
    contrast: float = Field(default=0.25, ge=0, description="around the photo's mean")
    saturation: float = Field(default=0.3, ge=0, description="around each pixel's grey")
    cast: float = Field(default=0.12, ge=0, description="each channel alone")


class Artefacts(RecipePart):
    """Ink, hair, rulers, dark corners or borders, drawn on every class alike (docs/decisions/0015); first in the list."""

    name: Literal["artefacts"] = Field(description="the augmentation")
    share: float = Field(default=0.4, ge=0, le=1, description="share of the photos that are drawn on")


Augmentation = Annotated[
    TurnAndFrame | RotateAndCrop | Mirror | Defocus | Lamp | Artefacts, Field(discriminator="name")
]


class Optimizer(RecipePart):
    """How gradients become steps."""

    name: Literal["adamw", "sgd", "rmsprop"] = Field(
        description="torch's AdamW or SGD; rmsprop is TensorFlow's (epsilon inside the root, as the papers ran it)"
    )
    learning_rate: float = Field(gt=0, description="of the backbone; the first or, with one_cycle, the highest")
    head_learning_rate: float | None = Field(
        default=None, gt=0, description="of the new head; null = as the backbone's"
    )
    weight_decay: float = Field(default=0.0, ge=0, description="decoupled for adamw, else an L2 penalty")
    momentum: float = Field(default=0.0, ge=0, lt=1, description="of sgd and rmsprop")
    decay: float = Field(default=0.9, gt=0, lt=1, description="rmsprop: of the mean of squared gradients")
    epsilon: float = Field(default=1e-8, gt=0, description="keeps adamw and rmsprop from dividing by zero")


class Schedule(RecipePart):
    """How the learning rate moves."""

    name: Literal["constant", "one_cycle", "step"] = Field(
        description="one_cycle: warm-up over 5 % of the steps, then a cosine to zero; step: divided at fixed epochs"
    )
    every_epochs: int = Field(default=1, ge=1, description="step: epochs between two divisions")
    divide_by: float = Field(default=1.0, ge=1, description="step: what the rate is divided by")


class Draws(RecipePart):
    """Which photos an epoch shows."""

    order: Literal["each_once", "by_chance"] = Field(
        description="each_once: a shuffle of the training photos; by_chance: as many draws, some twice, some never"
    )
    balanced_over: Literal["nothing", "kind", "source"] = Field(
        default="nothing",
        description="by_chance: what is given its share first: nothing, the kinds of photo, or the kinds and within "
        "them the sources by the root of their number",
    )
    clinical_share: float = Field(
        default=0.5, gt=0, lt=1, description="by_chance, balanced: share of clinical photos among those drawn"
    )
    class_power: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="by_chance: diseases are drawn by their number to the power of 1 minus this: "
        "0 = as they come, 0.5 = by the root, 1 = all alike",
    )


class Fold(RecipePart):
    """One fold of the training photos, by person and lesion."""

    number: int = Field(ge=0, description="which fold is left out, from 0")
    of: int = Field(ge=2, description="how many folds there are")

    @model_validator(mode="after")
    def _exists(self) -> Fold:
        if self.number >= self.of:
            raise ValueError(f"fold {self.number} of {self.of}: expected 0 to {self.of - 1}")
        return self


class MemberRecipe(RecipePart):
    """How one member is trained."""

    name: str = Field(pattern=r"^\w+$", description="model name in the Triton repository")
    architecture: str = Field(
        pattern=r"^(torchvision|timm):\w+$", description="library:name, a library's own name of the network"
    )
    weights: str = Field(
        default="imagenet",
        description="imagenet: the known or likewise named file of the weights folder; none: random; download: the "
        "library's own, fetched and said so; else a file name (.pt, .pth, .safetensors) in the weights folder",
    )
    mean: tuple[float, float, float] | None = Field(
        default=None, description="of the normalisation, red green blue, 0..1; null = what the weights were made with"
    )
    std: tuple[float, float, float] | None = Field(
        default=None, description="of the normalisation, as mean; both or neither are given"
    )
    size: int = Field(ge=32, le=1024, description="side in pixels that the backbone sees")
    first_size: int | None = Field(
        default=None, ge=32, le=1024, description="side in the first epochs (progressive resizing); null = size"
    )
    first_epochs: int = Field(default=0, ge=0, description="epochs at first_size")
    trained: Literal["all", "head", "head_on_cached_features"] = Field(
        default="all",
        description="all layers; the head behind a frozen backbone; or the head on features that the frozen backbone "
        "computes once, without augmentation, and that are kept on disk",
    )
    dropout: float = Field(default=0.0, ge=0, lt=1, description="before the last layer")
    epochs: int = Field(ge=1, description="epochs of the learning-rate schedule")
    stop_after: int | None = Field(
        default=None,
        ge=1,
        description="epochs that are run, where fewer: the moving average is good before the rate is zero",
    )
    patience: int | None = Field(
        default=None, ge=1, description="early stopping: epochs without a better validation AUC; null = never"
    )
    batch_photos: int = Field(default=32, ge=2, description="photos of a step, on each device")
    optimizer: Optimizer = Field(description="how gradients become steps")
    schedule: Schedule = Field(description="how the learning rate moves")
    gradient_clip: float | None = Field(default=None, gt=0, description="largest norm of the gradient; null = any")
    label_smoothing: float = Field(default=0.0, ge=0, lt=1, description="share of the target spread over all classes")
    mixup_alpha: float = Field(
        default=0.0,
        ge=0,
        description="photos of a batch are blended in pairs by a share from Beta(alpha, alpha), their labels too; "
        "0 = never. Source: Zhang et al. 2018, mixup",
    )
    class_weights: Literal["none", "inverse"] = Field(
        default="none", description="weights in the loss: inverse = by one over the number of the class, mean 1"
    )
    ema_decay: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="exponential moving average of the weights, which is what is kept; null = the weights themselves",
    )
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = Field(
        default="bf16-mixed", description="of the forward and backward pass, in Lightning's words"
    )
    draws: Draws = Field(description="which photos an epoch shows")
    augmentations: tuple[Augmentation, ...] = Field(
        default=(), description="what a training photo goes through, in this order; empty = resized only"
    )
    fold: Fold | None = Field(
        default=None,
        description="fold of the training photos that this member does not see and is judged on after each epoch; "
        "null = it sees all and is judged on the validation photos",
    )
    seed: int = Field(description="of the new head, the order of the photos, the augmentation and the dropout")

    @model_validator(mode="after")
    def _fits_together(self) -> MemberRecipe:
        if (self.mean is None) != (self.std is None):
            raise ValueError("mean and std: give both or neither")
        if self.first_epochs and self.first_size is None:
            raise ValueError(f"first_epochs is {self.first_epochs}, so first_size must be given")
        if self.trained == "head_on_cached_features" and (self.augmentations or self.mixup_alpha):
            raise ValueError("head_on_cached_features: features are made once, so augmentations and mixup must be off")
        return self


class Split(RecipePart):
    """Which photos train, choose and test."""

    method: Literal["groups", "time"] = Field(
        default="groups",
        description="groups: drawn, 15 % for validation, with people, lesions and look-alikes on one side; time: the oldest "
        "photos train, the newest of them are for validation (Han et al. 2018)",
    )
    seed: int = Field(default=0, description="of the draw; time needs none")
    test_share: float = Field(
        default=0.15, ge=0.05, le=0.5, multiple_of=0.05, description="of the photos that may leave training"
    )
    as_release: str | None = Field(
        default=None,
        pattern=r"^r[0-9]{4,}$",
        description="a release whose split is kept, so that both are measured on the same photos; empty: that of start_from, if any",
    )
    measure_on_blurred: bool = Field(
        default=False,
        description="true: photos that the quality filters refuse for blur or distance may stand in validation and test; else "
        "they train or are left out (Esteva et al. 2017)",
    )


class EnsembleRecipe(RecipePart):
    """Sources, split and members of an ensemble."""

    name: str = Field(description="as the file")
    about: str = Field(description="what it is, in a sentence or two")
    source: str = Field(description="the paper, or the decision record")
    from_paper: tuple[str, ...] = Field(default=(), description="which numbers the paper gives")
    ours: tuple[str, ...] = Field(default=(), description="which numbers are our choice, and why")
    classes: str = Field(description="what the networks answer: a list in screening/taxonomy/classes/, or a path")
    sources: tuple[str, ...] = Field(min_length=1, description="data sets, by the folder's name")
    split: Split = Field(description="of the sources into train, validation and test")
    start_from: str | None = Field(
        default=None,
        pattern=r"^(champion|r[0-9]{4,})$",
        description="champion or a release's name: each member starts from that release's member of its name, last layer "
        "and all; its own weights then only say how pixels are normalised. Empty: from its own weights",
    )
    input_side: int = Field(
        default=256,
        ge=64,
        le=1024,
        description="side in pixels of the square that every member gets, in training as served",
    )
    dangerous_sensitivity: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="share of the dangerous validation photos that must be graded dangerous; empty: Youden's index",
    )
    members: tuple[MemberRecipe, ...] = Field(
        min_length=1,
        description="the networks that answer together; in the file, every_member holds the fields that they share",
    )

    @model_validator(mode="before")
    @classmethod
    def _share_fields(cls, fields: Any) -> Any:
        if not isinstance(fields, dict) or not isinstance(fields.get("members"), list):
            return fields
        rest = {name: value for name, value in fields.items() if name != "every_member"}
        shared = fields.get("every_member") or {}
        return rest | {"members": [{**shared, **m} if isinstance(m, dict) else m for m in fields["members"]]}

    @model_validator(mode="after")
    def _names_differ(self) -> EnsembleRecipe:
        names = [member.name for member in self.members]
        if len(set(names)) < len(names):
            raise ValueError(f"members: every name may stand once, found {', '.join(names)}")
        return self

    def named_for(self, release: str) -> EnsembleRecipe:
        """The recipe with members named for a release: a model repository may hold both those and the ones before."""
        members = tuple(m.model_copy(update={"name": f"{m.name}_{release}"}) for m in self.members)
        return self.model_copy(update={"members": members})

    def only(self, names: list[str]) -> EnsembleRecipe:
        """The recipe with the members of these names alone; with all where there are none.

        Raises:
            SettingsError: it has no such member.
        """
        if unknown := set(names) - {m.name for m in self.members}:
            raise SettingsError(f"recipe {self.name} has no member {', '.join(sorted(unknown))}")
        return self.model_copy(update={"members": tuple(m for m in self.members if not names or m.name in names)})


def recipe_names() -> list[str]:
    """Names of the recipes in ``recipes/``; the file of the quality filters' network is of another kind."""
    return sorted(path.stem for path in RECIPES.glob("*.yaml") if "members" in yaml.safe_load(path.read_text()))


def load_recipe(name: str) -> EnsembleRecipe:
    """Read a recipe by name (of ``recipes/``) or by path.

    Raises:
        MissingError: there is no such recipe.
        SettingsError: the file is no recipe; the message names the field.
    """
    path = Path(name) if name.endswith((".yaml", ".yml")) else RECIPES / f"{name}.yaml"
    if not path.is_file():
        raise MissingError(
            f"recipe {name!r} does not exist; known are {', '.join(recipe_names())}, or give a .yaml file"
        )
    try:
        return EnsembleRecipe.model_validate(yaml.safe_load(path.read_text()))
    except yaml.YAMLError as error:
        raise SettingsError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise SettingsError(f"{path}: {where or 'recipe'}: {first['msg']}") from error
