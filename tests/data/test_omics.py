"""AnnData, MuData and xarray: recognised by their attributes; the real ones where installed."""

import time
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from conftest import draw, quick_centro, same
from scipy import sparse

from skcentrobind import Modalities, PerModality, to_obsm

N = 20
DATA, _ = draw(N)
IMAGE, TEXT = DATA.arrays[:2]
IDS = np.array([f"cell{i}" for i in range(N)])
ORDER = np.random.default_rng(0).permutation(N)
EXPECTED = quick_centro().fit_transform({"rna": IMAGE, "adt": TEXT})


def variables(n_columns):
    """Names that no two tables share."""
    return [f"v{n_columns}_{i}" for i in range(n_columns)]


class Table:
    """What is used of an AnnData. Like it, a row is a table again, so that numpy never ends."""

    def __init__(self, X, names):
        self.X, self.shape = X, X.shape
        self.obs_names = pd.Index(names)
        self.var_names = pd.Index(variables(X.shape[1]))
        self.obsm, self.layers = {}, {}

    def __len__(self):
        return len(self.obs_names)

    def __getitem__(self, key):
        time.sleep(1e-3)
        return self


class Tables(Table):
    """What is used of a MuData."""

    def __init__(self, mod, axis=0):
        self.mod, self.axis, self.obsm = mod, axis, {}
        names = [name for table in mod.values() for name in table.obs_names]
        self.obs_names = pd.Index(dict.fromkeys(names))
        self.shape = len(self.obs_names), 3


def real_table(X, names):
    anndata = pytest.importorskip("anndata", reason="the extra `omics` is not installed")
    table = anndata.AnnData(X)
    table.obs_names, table.var_names = names, variables(X.shape[1])
    return table


def real_tables(mod, **options):
    mudata = pytest.importorskip("mudata", reason="the extra `omics` is not installed")
    with mudata.set_options(pull_on_update=False):
        return mudata.MuData(mod, **options)


@pytest.fixture(params=["stand-in", "real"])
def make(request):
    if request.param == "real":
        return SimpleNamespace(table=real_table, tables=real_tables)
    return SimpleNamespace(table=Table, tables=Tables)


def shuffled(make):
    mod = {"rna": make.table(IMAGE, IDS), "adt": make.table(TEXT[ORDER], IDS[ORDER])}
    return make.tables(mod)


def test_mudata_is_aligned(make):
    mdata = shuffled(make)
    X = Modalities.from_mudata(mdata)
    assert X.names == ("rna", "adt")
    assert list(X.index) == list(mdata.obs_names) == list(IDS)
    np.testing.assert_array_equal(X["adt"], TEXT)
    assert list(X["adt"].columns) == variables(5)
    assert same(quick_centro().fit_transform(X), EXPECTED)
    bind = quick_centro().fit(mdata)
    for form in (mdata, X):
        assert same(bind.transform(form), EXPECTED)
    assert list(bind.feature_names_in_[[0, -1]]) == ["rna/v6_0", "adt/v5_4"]
    assert list(bind.set_output(transform="pandas").transform(mdata).index) == list(IDS)
    kept = PerModality({"rna": "passthrough"}, remainder="passthrough").fit_transform(mdata)
    np.testing.assert_array_equal(kept["adt"], TEXT)


def test_mudata_with_cells_that_some_modalities_lack(make):
    mod = {
        "rna": make.table(sparse.csr_matrix(np.maximum(IMAGE, 0))[3:], IDS[3:]),
        "adt": make.table(TEXT[ORDER], IDS[ORDER]),
    }
    mdata = make.tables(mod)
    X = Modalities.from_mudata(mdata)
    assert list(X.index) == list(mdata.obs_names)
    assert sparse.issparse(X["rna"])
    row_of = {name: i for i, name in enumerate(IDS)}
    for row, name in enumerate(X.index):
        i = row_of[name]
        assert X.present[row].tolist() == [i >= 3, True]
        np.testing.assert_array_equal(X["adt"].iloc[row], TEXT[i])
        if i >= 3:
            np.testing.assert_array_equal(X["rna"][[row]].toarray()[0], np.maximum(IMAGE[i], 0))
    inner = Modalities.from_mudata(mdata, how="inner")
    assert sorted(inner.index) == sorted(IDS[3:]) and inner.present.all()
    assert np.isfinite(quick_centro().fit_transform(mdata)).all()


def test_columns_of_other_tables_are_compared(make):
    bind = quick_centro().fit(shuffled(make))
    other = make.table(IMAGE, IDS)
    other.var_names = variables(6)[::-1]
    with pytest.raises(ValueError, match=r"(?s)'rna': The feature names.*same order"):
        bind.transform({"rna": other, "adt": make.table(TEXT, IDS)})
    scarce = make.tables({"rna": make.table(sparse.csr_matrix(IMAGE), IDS)})
    bind = quick_centro().fit(scarce)
    other = make.table(sparse.csr_matrix(IMAGE), IDS)
    other.var_names = variables(6)[::-1]
    with pytest.raises(ValueError, match=r"(?s)'rna': The feature names.*same order"):
        bind.transform(make.tables({"rna": other}))


def test_tables_as_items(make):
    rna, adt = make.table(IMAGE, IDS), make.table(TEXT, IDS)
    assert same(quick_centro().fit_transform({"rna": rna, "adt": adt}), EXPECTED)
    assert list(Modalities([rna, TEXT]).index) == list(IDS)
    with pytest.raises(ValueError, match=r"row labels in another order.*Modalities\.align"):
        quick_centro().fit({"rna": rna, "adt": make.table(TEXT[ORDER], IDS[ORDER])})
    bind = quick_centro().fit({"rna": rna, "adt": adt})
    np.testing.assert_allclose(
        bind.transform_modality(rna, "rna"), bind.transform_modalities([rna, adt])["rna"], atol=1e-6
    )
    aligned = Modalities.align({"rna": rna, "adt": make.table(TEXT[ORDER], IDS[ORDER])})
    assert same(quick_centro().fit_transform(aligned), EXPECTED)


def test_from_anndata(make):
    adata = make.table(IMAGE, IDS)
    adata.layers["counts"] = sparse.csc_matrix(np.maximum(IMAGE, 0))
    adata.obsm["adt"] = TEXT
    adata.obsm["table"] = pd.DataFrame(TEXT, index=IDS, columns=list("abcde"))
    keys = {"rna": "X", "counts": "layers/counts", "adt": "obsm/adt", "table": "obsm/table"}
    X = Modalities.from_anndata(adata, keys)
    assert X.names == tuple(keys) and list(X.index) == list(IDS)
    assert list(X["rna"].columns) == list(adata.var_names)
    assert X["counts"].format == "csr"
    np.testing.assert_array_equal(X["counts"].toarray(), np.maximum(IMAGE, 0))
    assert type(X["adt"]) is np.ndarray
    np.testing.assert_array_equal(X["table"], TEXT)
    assert same(quick_centro().fit_transform(X[["rna", "adt"]]), EXPECTED)
    with pytest.raises(ValueError, match=r"no array 'obsm/nothing', expected one of \['X', 'lay"):
        Modalities.from_anndata(adata, {"a": "obsm/nothing"})
    with pytest.raises(TypeError, match="expected a dict"):
        Modalities.from_anndata(adata, ["X"])
    counts = make.tables({"rna": adata})
    assert Modalities.from_mudata(counts, {"rna": "layers/counts"})["rna"].format == "csr"


def test_tables_in_the_wrong_position_are_refused_at_once(make):
    adata, mdata = make.table(IMAGE, IDS), shuffled(make)
    start = time.perf_counter()
    for call in (quick_centro().fit, Modalities, PerModality({"a": "passthrough"}).fit):
        with pytest.raises(TypeError, match=r"Modalities\.from_anndata\(adata, "):
            call(adata)
        for given in ({"a": mdata, "b": TEXT}, [mdata, TEXT]):
            with pytest.raises(ValueError, match=r"Modalities\.from_mudata\(mdata\)"):
                call(given)
        with pytest.raises(ValueError, match="got a list of"):
            call({"a": [adata] * N, "b": TEXT})
    with pytest.raises(TypeError, match=r"Modalities\.from_mudata\(mdata\)"):
        Modalities(mdata)
    with pytest.raises(TypeError, match="Expected a MuData"):
        Modalities.from_mudata(adata)
    with pytest.raises(TypeError, match="Expected an AnnData"):
        Modalities.from_anndata(TEXT, {"a": "X"})
    with pytest.raises(ValueError, match="'protein', but those of the MuData"):
        Modalities.from_mudata(mdata, {"protein": "X"})
    with pytest.raises(ValueError, match="leave modalities=None"):
        quick_centro(modalities=[3, 3]).fit(mdata)
    assert time.perf_counter() - start < 10


def test_mudata_that_shares_variables_is_refused():
    with pytest.raises(ValueError, match=r"axis=1.*share variables"):
        Modalities.from_mudata(Tables({"rna": Table(IMAGE, IDS)}, axis=1))
    with pytest.raises(ValueError, match="'nested' of the MuData is a Tables"):
        Modalities.from_mudata(Tables({"nested": Tables({"rna": Table(IMAGE, IDS)})}))
    twice = Tables({"rna": Table(IMAGE, IDS), "adt": Table(TEXT, [*IDS[:-1], IDS[0]])})
    with pytest.raises(ValueError, match=r"'adt' has duplicated row labels.*'cell0'"):
        quick_centro().fit(twice)


def test_to_obsm_writes_by_label(make):
    mdata = shuffled(make)
    Z = quick_centro().fit(mdata).transform_modalities(mdata)
    to_obsm(mdata, Z)
    np.testing.assert_array_equal(mdata.obsm["X_rna"], Z["rna"])
    adata = make.table(TEXT[ORDER], IDS[ORDER])
    to_obsm(adata, Z)
    np.testing.assert_array_equal(adata.obsm["X_adt"], Z["adt"][ORDER])
    other = make.table(TEXT[:3], ["new", "cell4", "cell2"])
    to_obsm(other, Z)
    np.testing.assert_array_equal(other.obsm["X_adt"][1:], Z["adt"][[4, 2]])
    assert np.isnan(other.obsm["X_adt"][0]).all()
    plain = Modalities(dict(Z.items()))
    to_obsm(adata, plain)
    np.testing.assert_array_equal(adata.obsm["X_adt"], Z["adt"])


def test_what_to_obsm_refuses():
    adata, Z = Table(IMAGE, IDS), Modalities({"a": TEXT})
    with pytest.raises(TypeError, match="Expected an AnnData or MuData, got ndarray"):
        to_obsm(TEXT, Z)
    with pytest.raises(TypeError, match="Expected Modalities"):
        to_obsm(adata, TEXT)
    with pytest.raises(ValueError, match="3 rows without labels for 20"):
        to_obsm(adata, Z[:3])
    frame = pd.DataFrame(TEXT, index=[f"x{i}" for i in range(N)])
    with pytest.raises(ValueError, match="No row label of Z, for example 'x0'"):
        to_obsm(adata, Modalities({"a": frame}))
    with pytest.raises(ValueError, match="duplicated, for example 'x'"):
        to_obsm(adata, Modalities({"a": frame.set_axis(["x"] * N)}))
    assert not adata.obsm


def test_xarray():
    xarray = pytest.importorskip("xarray", reason="the extra `omics` is not installed")
    data = xarray.Dataset(
        {"rna": (("cell", "gene"), IMAGE), "adt": (("cell", "protein"), TEXT)},
        coords={"cell": IDS},
    )
    assert same(quick_centro().fit_transform(data), EXPECTED)
    assert list(Modalities(data).index) == list(IDS)
    with pytest.raises(ValueError, match="row labels in another order"):
        quick_centro().fit({"rna": data["rna"], "adt": data["adt"][ORDER]})
    square = xarray.DataArray(np.ones((N, N)), dims=("gene", "cell"))
    with pytest.raises(ValueError, match=r"'a' and 'b' have the dimensions.*\.transpose"):
        quick_centro().fit({"a": data["rna"], "b": square})
    assert quick_centro().fit(data["rna"]).n_features_in_ == 6


def test_h5py_and_zarr(tmp_path):
    h5py = pytest.importorskip("h5py", reason="the extra `omics` is not installed")
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["rna"], file["adt"] = IMAGE, TEXT
        assert list(Modalities(file).names) == ["adt", "rna"]
        items = {"rna": file["rna"], "adt": file["adt"]}
        assert same(quick_centro().fit_transform(items), EXPECTED)
    zarr = pytest.importorskip("zarr", reason="the extra `omics` is not installed")
    items = {"rna": zarr.array(IMAGE), "adt": zarr.array(TEXT)}
    assert same(quick_centro().fit_transform(items), EXPECTED)
