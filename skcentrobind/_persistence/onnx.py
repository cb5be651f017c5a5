"""One encoder as an ONNX graph, written node by node: it needs only onnx and no exporter."""

import numpy as np

from skcentrobind._encoders.custom import CustomEncoder
from skcentrobind._names import optional
from skcentrobind._public import __version__

# ReduceL2 takes its axes as an input from opset 18 on; runtimes support it since early 2023.
_OPSET, _IR = 18, 8


class Graph:
    """Nodes in a chain; every method adds one and returns the name of its output."""

    def __init__(self, onnx):
        self.onnx = onnx
        self.nodes, self.constants = [], []

    def constant(self, array):
        """Add an array and return its name."""
        name = f"c{len(self.constants)}"
        self.constants.append(self.onnx.numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def add(self, op, *inputs, output=None, **attributes):
        """Add a node; inputs that are arrays become constants."""
        names = [x if isinstance(x, str) else self.constant(x) for x in inputs]
        output = output or f"n{len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(op, names, [output], **attributes))
        return output

    def model(self, name, shape_in, dtype, shape_out):
        """Close the graph from "features" to "embedding"."""
        helper, types = self.onnx.helper, self.onnx.TensorProto
        kind = {"float32": types.FLOAT, "float64": types.DOUBLE}[dtype]
        graph = helper.make_graph(
            self.nodes,
            name,
            [helper.make_tensor_value_info("features", kind, shape_in)],
            [helper.make_tensor_value_info("embedding", types.FLOAT, shape_out)],
            self.constants,
        )
        return helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", _OPSET)],
            ir_version=_IR,
            producer_name="skcentrobind",
            producer_version=__version__,
        )


def encoder_model(spec, group, k, scaler, n_components, dtype):
    """Build the model of one modality.

    Parameters
    ----------
    spec : ModalitySpec
        The modality.
    group : Module
        The bank or the user's module that encodes it.
    k : int
        Its position among the members of the group.
    scaler : scaler or None
        How its rows are scaled.
    n_components : int
        Width of the shared head, whose columns come first.
    dtype : {"float32", "float64"}
        Type of the input.

    Returns
    -------
    model : onnx.ModelProto
        From raw rows, "features", to unit-length rows, "embedding".
    """
    name, shape = spec.name, spec.row_shape
    if dtype not in ("float32", "float64"):
        raise ValueError(f"dtype must be 'float32' or 'float64', got {dtype!r}.")
    if isinstance(group, CustomEncoder):
        raise ValueError(
            f"The encoder of modality '{name}' is a module of your own, which only torch's "
            "exporter can read. It takes rows as they are, without standardisation, so export it "
            f"alone: torch.onnx.export(estimator.encoders_[{name!r}], (rows,), 'file.onnx')."
        )
    onnx = optional("onnx", "Exporting", "onnx")
    graph = Graph(onnx)
    x = "features"
    if len(shape) > 1:
        x = graph.add("Reshape", x, np.array([-1, spec.n_features]))
    x = group.write(graph, _standardise(graph, x, scaler), k)
    # The columns of a second head follow those of the first.
    x = graph.add("Slice", x, np.array([0]), np.array([n_components]), np.array([1]))
    # As `_ops.unit_rows`: rows of zeros stay.
    norm = graph.add("ReduceL2", x, np.array([1]), keepdims=1)
    graph.add("Div", x, graph.add("Max", norm, np.float32(1e-12)), output="embedding")
    model = graph.model(name, ["batch", *shape], dtype, ["batch", n_components])
    onnx.checker.check_model(model, full_check=True)
    return model


def _standardise(graph, x, scaler):
    """Standardise in float64, as `prepare_rows` does, then continue in float32."""
    if scaler is not None:
        x = graph.add("Cast", x, to=graph.onnx.TensorProto.DOUBLE)
        # Sparse modalities are not centred; the graph takes their rows as dense ones.
        centre = getattr(scaler, "mean_", getattr(scaler, "center_", None))
        if centre is not None:
            x = graph.add("Sub", x, centre)
        x = graph.add("Div", x, scaler.scale_)
        if hasattr(scaler, "limit"):
            x = graph.add("Clip", x, np.float64(-scaler.limit), np.float64(scaler.limit))
        if hasattr(scaler, "whitening_"):
            x = graph.add("MatMul", x, scaler.whitening_)
    return graph.add("Cast", x, to=graph.onnx.TensorProto.FLOAT)
