"""Everything that calls a model: backends, the cache of completions, the pool of models, servers."""
