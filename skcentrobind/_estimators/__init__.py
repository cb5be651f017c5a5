"""The binding transformers."""
