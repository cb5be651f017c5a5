"""What users see: the binding transformers."""
