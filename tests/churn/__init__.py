"""A host through very many binds and reclaims: what it costs, and that nothing stays behind."""
