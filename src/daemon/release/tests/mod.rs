mod desk;
mod keeping;
