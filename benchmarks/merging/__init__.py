"""Are adapters trained with CoTo easier to merge and to prune than plain LoRA?"""
