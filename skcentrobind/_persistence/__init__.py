"""Fitted estimators in files: safetensors and ONNX."""
