"""From parameters and data to a trained net; the only room that imports skorch."""
