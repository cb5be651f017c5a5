"""What a fitted transformer can do to be used elsewhere: be saved, be exported."""

from sklearn.utils.validation import check_is_fitted

from skcentrobind._data.checks import find_modality
from skcentrobind._persistence.onnx import encoder_model
from skcentrobind._persistence.safetensors import write


class ServingMixin:
    """Adds `save` and `to_onnx` to the binding transformers."""

    def save(self, path):
        """Write the fitted estimator to one safetensors file, which `skcentrobind.load` reads.

        Unlike a pickle the file holds data only: weights, scalers, what `partial_fit` goes on
        from, and parameters and names as JSON. Of parameters that are code of your own (modules,
        factories, callables, callbacks, anchor classes) it keeps the trained weights, and `load`
        asks for the code again.

        Parameters
        ----------
        path : str or path-like
            The file, by custom with the ending ".safetensors". A file that is there is replaced
            once the new one is complete.

        Raises
        ------
        TypeError
            If the estimator is of a class that `load` does not know; joblib saves any.
        ImportError
            If safetensors is not installed.
        """
        check_is_fitted(self)
        write(self, path)

    def to_onnx(self, path, modality, *, dtype="float32"):
        """Export the encoder of one modality, with its standardisation, as an ONNX model.

        The model embeds raw rows, as `transform_modality` does: its input "features" has the shape
        (batch, ...) of the rows seen in fit, its output "embedding" the shape
        (batch, n_components), float32 and of unit length. Rows must be complete, without NaN. It
        computes in float32, also for an estimator with `precision="bf16"`.

        Parameters
        ----------
        path : str, path-like or None
            The file to write; None only returns the model.
        modality : str or int
            Name or position of the modality.
        dtype : {"float32", "float64"}, default="float32"
            Type of the input. The standardisation computes in float64 in both cases; float64
            matters for features with large offsets, such as time stamps.

        Returns
        -------
        model : onnx.ModelProto
            Checked by `onnx.checker`.

        Raises
        ------
        ValueError
            If the modality or the dtype is unknown, or the encoder is a module of your own: this
            needs no standardisation and is exported by `torch.onnx.export(encoders_[name], ...)`.
        ImportError
            If onnx is not installed.
        """
        check_is_fitted(self)
        model = encoder_model(self, find_modality(self.modality_names_, modality), dtype)
        if path is not None:
            with open(path, "wb") as stream:
                stream.write(model.SerializeToString())
        return model
