"""Encoders, their augmentations and their start."""
