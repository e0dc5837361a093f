//! The tokenizers of `transformers` by the names of their classes, without `Fast`, and of the families that have them. As
//! of 5.24.0.

/// Classes whose tokenizer over `vocab.txt` is BERT's.
pub(crate) const WORD_PIECE_CLASSES: [&str; 13] = [
    "BertTokenizer",
    "DistilBertTokenizer",
    "ElectraTokenizer",
    "ConvBertTokenizer",
    "MobileBertTokenizer",
    "SqueezeBertTokenizer",
    "LayoutLMTokenizer",
    "LxmertTokenizer",
    "RealmTokenizer",
    "RetriBertTokenizer",
    "DPRContextEncoderTokenizer",
    "DPRQuestionEncoderTokenizer",
    "DPRReaderTokenizer",
];

/// Those of them whose normalizer the keys of `tokenizer_config.json` decide. The others take what `tokenizer.json` stores, or have a fixed
/// one.
pub(crate) const NORMALIZED_BY_SETTINGS: [&str; 7] = [
    "BertTokenizer",
    "DistilBertTokenizer",
    "ElectraTokenizer",
    "MobileBertTokenizer",
    "SqueezeBertTokenizer",
    "LayoutLMTokenizer",
    "LxmertTokenizer",
];

/// Families whose tokenizer is BERT's where none is named.
pub(crate) const WORD_PIECE_MODEL_TYPES: [&str; 14] = [
    "bert",
    "distilbert",
    "electra",
    "convbert",
    "mobilebert",
    "squeezebert",
    "layoutlm",
    "lxmert",
    "realm",
    "retribert",
    "ernie",
    "megatron-bert",
    "nezha",
    "nomic_bert",
];

/// Classes that give the texts of a pair different segments to the model.
pub(crate) const SEGMENT_CLASSES: [&str; 18] = [
    "BertTokenizer",
    "ElectraTokenizer",
    "ConvBertTokenizer",
    "MobileBertTokenizer",
    "SqueezeBertTokenizer",
    "LayoutLMTokenizer",
    "LayoutLMv2Tokenizer",
    "LxmertTokenizer",
    "RealmTokenizer",
    "RetriBertTokenizer",
    "DPRContextEncoderTokenizer",
    "DPRQuestionEncoderTokenizer",
    "DebertaTokenizer",
    "DebertaV2Tokenizer",
    "FNetTokenizer",
    "MarkupLMTokenizer",
    "CanineTokenizer",
    "TapasTokenizer",
];
