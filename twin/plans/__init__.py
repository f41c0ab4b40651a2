"""Plans: the document, its waves, guards, judgement, calm, dossier, and what came true."""
