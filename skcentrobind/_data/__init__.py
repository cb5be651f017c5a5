"""Data of any form as checked modalities: numpy, pandas, scipy and scikit-learn, never torch."""
