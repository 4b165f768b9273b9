"""Who is asking, whether they may, and how often: keys, sessions of pages, forms that cannot be forged."""
