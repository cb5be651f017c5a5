"""The objective of binding as a module: anchor, temperature and the sum over modalities."""

from torch import nn

from skcentrobind.losses._functional import anchor_info_nce


class AnchorLoss(nn.Module):
    """Sum over the modalities of the symmetric InfoNCE to their anchor.

    Parameters
    ----------
    anchor : BaseAnchor
        Its `targets(z, present, generator)` are objects with `embeddings`,
        `members`, `present` and `weight`.
    temperature : float
        Divides the inner products.
    detach_anchor : bool, default=False
        Whether the anchor is a constant for the gradient.
    bounded : bool, default=False
        Whether anchors are at most 2 long, see `anchor_info_nce`.

    Examples
    --------
    >>> import torch
    >>> from skcentrobind.anchors import MeanAnchor
    >>> from skcentrobind.losses import AnchorLoss
    >>> z = torch.eye(4).expand(3, 4, 4)
    >>> bool(AnchorLoss(MeanAnchor(), temperature=0.1)(z, z, None, torch.Generator()) < 1e-2)
    True
    """

    def __init__(self, anchor, temperature, detach_anchor=False, bounded=False):
        super().__init__()
        self.anchor = anchor
        self.temperature = temperature
        self.detach_anchor = detach_anchor
        self.bounded = bounded

    def forward(self, z, z_augmented, present, generator):
        """Loss of one batch.

        Parameters
        ----------
        z, z_augmented : Tensor of shape (n_modalities, batch, n_components)
            Embeddings of the clean and of the augmented rows.
        present : Tensor of bool of shape (n_modalities, batch) or None
            Which samples have which modality.
        generator : torch.Generator
            Source of the anchor's randomness.

        Returns
        -------
        loss : Tensor of shape ()
            Equation (8) of the paper, summed over the modalities.
        """
        terms = []
        for target in self.anchor.targets(z_augmented, present, generator):
            anchor = target.embeddings.detach() if self.detach_anchor else target.embeddings
            members = z if target.members is None else z[target.members]
            losses = anchor_info_nce(
                members,
                anchor,
                self.temperature,
                present=_rows(present, target),
                bounded=self.bounded,
            )
            term = losses.sum()
            terms.append(term if target.weight == 1 else target.weight * term)
        return sum(terms[1:], terms[0])


def _rows(present, target):
    """Rows that have both the modality and the target, (n_members, batch) or None."""
    if present is None:
        return None
    if target.members is not None:
        present = present[target.members]
    return present if target.present is None else present & target.present
