"""From a request to a poem: templates, the sampler, the engines. Imports no torch."""
