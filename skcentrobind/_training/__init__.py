"""From parameters and data to a trained net; the only folder that imports skorch."""
