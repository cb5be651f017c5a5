"""Anchors that are modalities themselves."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from skcentrobind._names import position_of
from skcentrobind.anchors._base import BaseAnchor, Target, as_list


class IntraAnchor(BaseAnchor):
    """Every modality learns from its own augmented rows alone: contrastive pre-training.

    Examples
    --------
    >>> import torch
    >>> from skcentrobind.anchors import IntraAnchor
    >>> IntraAnchor().targets(torch.ones(3, 2, 4), None, None)[0].embeddings.shape
    torch.Size([3, 2, 4])
    """

    bounded = True

    def targets(
        self, z: Tensor, present: Tensor | None, generator: torch.Generator
    ) -> list[Target]:
        """Make each modality its own target."""
        return [Target(z, present=present, bounded=self.bounded)]


class RandomAnchor(BaseAnchor):
    """One modality, drawn anew in every step, serves as the anchor.

    Samples in which the drawn modality is missing sit out that step.

    Parameters
    ----------
    intra : bool, default=False
        False freezes the drawn modality's encoder for the step, and the others learn towards it.
        True lets it learn too, from the others and from the pair of its own augmented and clean
        embeddings.

    Examples
    --------
    >>> import torch
    >>> from skcentrobind.anchors import RandomAnchor
    >>> (target,) = RandomAnchor().targets(torch.ones(3, 2, 4), None, torch.Generator())
    >>> len(target.members)
    2
    """

    bounded = True

    def __init__(self, intra: bool = False) -> None:
        super().__init__()
        self.intra = intra

    def targets(
        self, z: Tensor, present: Tensor | None, generator: torch.Generator
    ) -> list[Target]:
        """Draw a modality and make it the target."""
        if len(z) == 1:
            return [Target(z, present=present, bounded=self.bounded)]
        candidates = list(range(len(z)))
        if present is not None:
            # A modality with one row in the batch has no negatives.
            candidates = torch.nonzero(present.sum(dim=1) > 1)[:, 0].tolist() or candidates
        draw = int(torch.randint(len(candidates), (), generator=generator, device=generator.device))
        chosen = candidates[draw]
        rows = None if present is None else present[chosen]
        if self.intra:
            sources = [chosen] * len(z)
            return [Target(z[chosen], None, rows, bounded=self.bounded, sources=sources)]
        others = [m for m in range(len(z)) if m != chosen]
        anchor = z[chosen].detach()
        sources = [chosen] * len(others)
        bounded = self.bounded
        return [Target(anchor, others, rows, bounded=bounded, frozen=(chosen,), sources=sources)]

    def extra_repr(self) -> str:
        """Show the variant."""
        return f"intra={self.intra}"


class FixedAnchor(BaseAnchor):
    """One or several modalities, chosen by the user, serve as the anchor.

    With several anchors every other modality learns towards each of them, and its loss is the
    mean over the anchors. Samples in which the anchor modality is missing leave its loss.

    Parameters
    ----------
    modalities : int, str or list of int or str, default=0
        Position or name of the anchor modality, or a list of these.
    freeze : bool, default=True
        Whether the anchors' encoders stay as they are.

    Examples
    --------
    >>> import torch
    >>> from skcentrobind.anchors import FixedAnchor
    >>> anchor = FixedAnchor("text")
    >>> anchor.prepare(["image", "text", "audio"])
    >>> anchor.targets(torch.ones(3, 2, 4), None, None)[0].members
    [0, 2]
    """

    bounded = True

    def __init__(
        self, modalities: int | str | Sequence[int | str] = 0, freeze: bool = True
    ) -> None:
        super().__init__()
        self.modalities = modalities
        self.freeze = freeze
        self._positions: tuple[int, ...] = ()
        self._frozen: tuple[int, ...] = ()

    def prepare(self, names: Sequence[str]) -> None:
        """Translate names to positions."""
        wanted = as_list(self.modalities)
        wanted = list(wanted) if isinstance(wanted, list | tuple) else [wanted]
        self._positions = tuple(self._position(anchor, list(names)) for anchor in wanted)
        if not wanted or len(set(self._positions)) < len(wanted):
            raise ValueError(
                f"anchor must name one modality or several different ones of {list(names)}, "
                f"got {self.modalities!r}."
            )
        if self.freeze and len(wanted) == len(names) > 1:
            raise ValueError(
                f"anchor={self.modalities!r} freezes all modalities, so that nothing could "
                "learn; name fewer anchors or set freeze_anchor=False."
            )
        # A single modality has nothing to be bound to: it learns from its own augmented rows.
        self._frozen = self._positions if self.freeze and len(names) > 1 else ()

    @staticmethod
    def _position(anchor: Any, names: list[str]) -> int:
        position = position_of(anchor, names)
        if position is None:
            raise ValueError(
                f"anchor must be the name or the position of a modality of {names}, got {anchor!r}."
            )
        return position

    def sources(self) -> tuple[int, ...]:
        """Return the positions of the anchor modalities."""
        return self._positions

    def frozen(self) -> tuple[int, ...]:
        """Return the anchors' positions if they are frozen."""
        return self._frozen

    def targets(
        self, z: Tensor, present: Tensor | None, generator: torch.Generator
    ) -> list[Target]:
        """Make each anchor modality a target of all others."""
        if len(z) == 1:
            return [Target(z, present=present, bounded=self.bounded)]
        if not self._positions:
            raise self._not_resolved()
        targets = []
        for q in self._positions:
            members = [m for m in range(len(z)) if m != q and m not in self._frozen]
            rows = None if present is None else present[q]
            anchor = z[q].detach() if q in self._frozen else z[q]
            weight = 1 / len(self._positions)
            sources = [q] * len(members)
            bounded = self.bounded
            targets.append(Target(anchor, members, rows, weight, bounded, sources=sources))
        return targets

    def extra_repr(self) -> str:
        """Show the settings."""
        return f"{self.modalities!r}, freeze={self.freeze}"
