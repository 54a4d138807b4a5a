"""What tests share: toys, made-up files and folders, processes."""
