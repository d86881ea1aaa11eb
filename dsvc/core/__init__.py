"""What users do: repositories, datasets, drafts, versions, history."""
