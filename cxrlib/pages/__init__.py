"""What readers see: tables, figures, the gallery and the notebooks. Nothing here trains."""
