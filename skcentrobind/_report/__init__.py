"""Reports on data."""
