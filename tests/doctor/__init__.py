"""Each check: seen to report what is broken, and silent where all is well."""
