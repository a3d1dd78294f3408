"""From a model file to a project that a firmware developer compiles."""
