"""The screens: each module says its path and title, draws itself, and registers its thin callbacks."""
