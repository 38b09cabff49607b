"""What people look at: the pages of `detector detect` and `detector eval`, from templates, with charts as SVG."""
