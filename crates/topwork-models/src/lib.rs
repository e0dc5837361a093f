//! Model families and Hugging Face directories: config, weights, tokenizer, hub.
