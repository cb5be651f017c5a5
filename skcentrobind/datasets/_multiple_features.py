"""Load handwritten digits in six feature sets, shipped with the package."""

from importlib.resources import files
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import Bunch

from .._data.modalities import Modalities

_NAMES = ("fou", "fac", "kar", "pix", "zer", "mor")


@overload
def load_multiple_features(*, return_X_y: Literal[False] = False) -> Bunch: ...
@overload
def load_multiple_features(
    *, return_X_y: Literal[True]
) -> tuple[Modalities, NDArray[np.int64]]: ...
@overload
def load_multiple_features(*, return_X_y: bool) -> Bunch | tuple[Modalities, NDArray[np.int64]]: ...
def load_multiple_features(
    *, return_X_y: bool = False
) -> Bunch | tuple[Modalities, NDArray[np.int64]]:
    """Load the Multiple Features data: handwritten digits in six feature sets.

    2000 digits, 200 per class, extracted from Dutch utility maps. Row k is the same digit in all
    six feature sets:

    ==== ======== =====================================================
    name features description
    ==== ======== =====================================================
    fou  76       Fourier coefficients of the character shape
    fac  216      profile correlations
    kar  64       Karhunen-Loeve coefficients
    pix  240      pixel averages in windows of 2 x 3, integers 0 to 6
    zer  47       Zernike moments
    mor  6        morphological features
    ==== ======== =====================================================

    The rows are sorted by digit, so shuffle when splitting. The data is part of the package:
    nothing is downloaded.

    Parameters
    ----------
    return_X_y : bool, default=False
        If True, return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with these keys.

        data : Modalities
            The six feature sets in the order above, float64.
        target : ndarray of shape (2000,)
            The digit, 0 to 9.
        target_names : ndarray of shape (10,)
            The names of the classes, "0" to "9".
        feature_names : dict of str to list of str
            Column names of each feature set: "fou_0", "fou_1", ...
        DESCR : str
            Description, citation and licence.

    (data, target) : tuple if `return_X_y` is True
        The Modalities and the digits.

    See Also
    --------
    make_multimodal_gmm : Generate data with known structure.

    Notes
    -----
    The data may be used under the licence CC BY 4.0, which requires naming its source [1]_.

    References
    ----------
    .. [1] R. Duin, "Multiple Features", UCI Machine Learning Repository, 1998,
       `doi:10.24432/C5HC70 <https://doi.org/10.24432/C5HC70>`_.

    Examples
    --------
    >>> from skcentrobind.datasets import load_multiple_features
    >>> digits = load_multiple_features()
    >>> list(digits.data.names)
    ['fou', 'fac', 'kar', 'pix', 'zer', 'mor']
    >>> digits.data["pix"].shape
    (2000, 240)
    >>> X, y = load_multiple_features(return_X_y=True)
    >>> len(X), y[:3]
    (2000, array([0, 0, 0]))
    """
    folder = files(__package__) / "data"
    with (folder / "multiple_features.npz").open("rb") as file, np.load(file) as stored:
        data = Modalities({name: _decode(stored, name) for name in _NAMES})
        target = stored["target"].astype(np.int64)
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        target=target,
        target_names=np.array([str(digit) for digit in range(10)]),
        feature_names={
            name: [f"{name}_{j}" for j in range(data[name].shape[1])] for name in _NAMES
        },
        DESCR=(folder / "README.md").read_text(encoding="utf-8"),
    )


def _decode(stored: Any, name: str) -> NDArray[np.float64]:
    """Return one feature set from its decimal digits and its decimal places.

    No number of the source has more than five significant digits. Numerator and denominator of
    digits / 10**places are exact in float64 and the division rounds once, as parsing the number
    from text does, so the result equals the number of the source to the last bit.
    """
    planes = stored[f"{name}_digits"]  # (n_bytes, n_samples, n_features)
    digits = np.ascontiguousarray(np.moveaxis(planes, 0, -1)).view(f"<i{len(planes)}")[..., 0]
    values: NDArray[np.float64] = digits / 10 ** stored[f"{name}_places"].astype(np.int64)
    return values
