"""Users' own data: annotations of labelling tools to labels, and configs that train on them."""
