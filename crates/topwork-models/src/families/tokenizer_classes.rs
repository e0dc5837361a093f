//! The tokenizers of `transformers` by the names of their classes, without `Fast`, and of the families that have them. As
//! of 5.24.0.

/// How `transformers` makes a tokenizer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Build {
    /// WordPiece over the vocabulary, with a normalizer by the settings.
    WordPiece,
    /// Byte-level BPE over the vocabulary and the merges.
    ByteLevel,
    /// Unigram over the pieces.
    Pieces(&'static Pieces),
}

/// A class whose tokenizer is made of vocabulary and settings, whatever else `tokenizer.json` says.
#[derive(Debug)]
pub(crate) struct TokenizerClass {
    pub(crate) name: &'static str,
    pub(crate) build: Build,
    /// Whether the model gets segments.
    pub(crate) segments: bool,
}

/// What families that were trained with fairseq make of a SentencePiece model, whose ids are not theirs.
#[derive(Debug)]
pub(crate) struct Pieces {
    /// How many of the model's first pieces have no place among the ids.
    pub(crate) dropped: usize,
    /// What stands in their place.
    pub(crate) before: &'static [Before],
    /// The place of the token of what no piece fits; without one, where that token is found.
    pub(crate) unknown: Option<usize>,
    /// Tokens that are special where no others are named.
    pub(crate) further: &'static [&'static str],
    /// Whether the mask takes the space before it where nothing is said.
    pub(crate) mask_takes_space: bool,
}

/// A piece that comes before those of the model.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Before {
    /// The special token of a role.
    Role(&'static str),
    /// A token that nothing becomes, and its score.
    Unused(&'static str, f64),
}

const MOVED: Pieces = Pieces {
    dropped: 3,
    before: &[
        Before::Role("bos_token"),
        Before::Role("pad_token"),
        Before::Role("eos_token"),
        Before::Role("unk_token"),
    ],
    unknown: Some(3),
    further: &[],
    mask_takes_space: false,
};

const MARKED: Pieces = Pieces {
    dropped: 1,
    before: &[
        Before::Unused("<s>NOTUSED", 0.0),
        Before::Role("pad_token"),
        Before::Unused("</s>NOTUSED", 0.0),
        Before::Role("unk_token"),
        Before::Unused("<unk>NOTUSED", -100.0),
    ],
    unknown: None,
    further: &["<s>NOTUSED", "</s>NOTUSED", "<unk>NOTUSED"],
    mask_takes_space: true,
};

const fn word_piece(name: &'static str, segments: bool) -> TokenizerClass {
    TokenizerClass { name, build: Build::WordPiece, segments }
}

const fn byte_level(name: &'static str) -> TokenizerClass {
    TokenizerClass { name, build: Build::ByteLevel, segments: false }
}

/// The classes whose tokenizers are made anew.
pub(crate) static CLASSES: [TokenizerClass; 13] = [
    word_piece("BertTokenizer", true),
    word_piece("DistilBertTokenizer", false),
    word_piece("ElectraTokenizer", true),
    word_piece("MobileBertTokenizer", true),
    word_piece("SqueezeBertTokenizer", true),
    word_piece("LayoutLMTokenizer", true),
    word_piece("LxmertTokenizer", true),
    byte_level("RobertaTokenizer"),
    byte_level("LongformerTokenizer"),
    byte_level("BartTokenizer"),
    byte_level("LEDTokenizer"),
    TokenizerClass { name: "XLMRobertaTokenizer", build: Build::Pieces(&MOVED), segments: false },
    TokenizerClass { name: "CamembertTokenizer", build: Build::Pieces(&MARKED), segments: false },
];

/// The class of families whose files name none.
const OF_MODEL_TYPES: [(&str, &[&str]); 4] = [
    (
        "BertTokenizer",
        &[
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
        ],
    ),
    (
        "RobertaTokenizer",
        &["roberta", "roberta-prelayernorm", "longformer", "bart", "led", "data2vec-text", "ibert", "lilt"],
    ),
    ("XLMRobertaTokenizer", &["xlm-roberta"]),
    ("CamembertTokenizer", &["camembert"]),
];

/// Classes that make the tokenizer in a way that is not reproduced, though a `tokenizer.json` can be had of them.
const OTHERS: &[&str] = &[
    "AlbertTokenizer",
    "BarthezTokenizer",
    "BigBirdTokenizer",
    "BlenderbotTokenizer",
    "CLIPTokenizer",
    "CodeGenTokenizer",
    "CodeLlamaTokenizer",
    "CohereTokenizer",
    "ConvBertTokenizer",
    "DPRContextEncoderTokenizer",
    "DPRQuestionEncoderTokenizer",
    "DPRReaderTokenizer",
    "DebertaTokenizer",
    "DebertaV2Tokenizer",
    "EsmcTokenizer",
    "FNetTokenizer",
    "FunnelTokenizer",
    "GPT2Tokenizer",
    "GPTNeoXTokenizer",
    "GemmaTokenizer",
    "HerbertTokenizer",
    "LasrTokenizer",
    "LayoutLMv2Tokenizer",
    "LayoutLMv3Tokenizer",
    "LayoutXLMTokenizer",
    "LlamaTokenizer",
    "LukeTokenizer",
    "MBart50Tokenizer",
    "MBartTokenizer",
    "MLukeTokenizer",
    "MPNetTokenizer",
    "MarkupLMTokenizer",
    "MvpTokenizer",
    "NllbTokenizer",
    "NougatTokenizer",
    "OpenAIGPTTokenizer",
    "ParakeetTokenizer",
    "PegasusTokenizer",
    "Qwen2Tokenizer",
    "Qwen3_5Tokenizer",
    "ReformerTokenizer",
    "RemBertTokenizer",
    "RoFormerTokenizer",
    "SeamlessM4TTokenizer",
    "Siglip2Tokenizer",
    "SplinterTokenizer",
    "T5Tokenizer",
    "Tipsv2Tokenizer",
    "UdopTokenizer",
    "VideoPrismTokenizer",
    "WhisperTokenizer",
    "XGLMTokenizer",
    "XLNetTokenizer",
];

/// Classes that part words with a program of their own, of which no `tokenizer.json` can be had.
const PROGRAMS: &[&str] = &[
    "BartphoTokenizer",
    "BertGenerationTokenizer",
    "BertJapaneseTokenizer",
    "BertTokenizerLegacy",
    "BertweetTokenizer",
    "BioGptTokenizer",
    "BlenderbotSmallTokenizer",
    "ByT5Tokenizer",
    "CTRLTokenizer",
    "CanineTokenizer",
    "ClvpTokenizer",
    "CpmAntTokenizer",
    "CpmTokenizer",
    "DiaTokenizer",
    "EsmTokenizer",
    "FSMTTokenizer",
    "FastSpeech2ConformerTokenizer",
    "FlaubertTokenizer",
    "GPTNeoXJapaneseTokenizer",
    "GPTSw3Tokenizer",
    "M2M100Tokenizer",
    "MarianTokenizer",
    "MgpstrTokenizer",
    "MistralCommonBackend",
    "MyT5Tokenizer",
    "PLBartTokenizer",
    "PerceiverTokenizer",
    "PhobertTokenizer",
    "Pop2PianoTokenizer",
    "ProphetNetTokenizer",
    "RagTokenizer",
    "RoCBertTokenizer",
    "SiglipTokenizer",
    "Speech2TextTokenizer",
    "SpeechT5Tokenizer",
    "TapasTokenizer",
    "VitsTokenizer",
    "Wav2Vec2CTCTokenizer",
    "Wav2Vec2PhonemeCTCTokenizer",
    "XLMTokenizer",
];

/// What the name of a class, without `Fast`, means.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ClassName {
    /// The tokenizer is made anew.
    Made(&'static TokenizerClass),
    /// `tokenizer.json` is taken as it is: the general class, and names that `transformers` does not know.
    Whole,
    /// Another way, which is not reproduced.
    Other,
    /// A program of its own.
    Program,
}

impl ClassName {
    pub(crate) fn of(name: &str) -> Self {
        match CLASSES.iter().find(|class| class.name == name) {
            Some(class) => Self::Made(class),
            None if OTHERS.contains(&name) => Self::Other,
            None if PROGRAMS.contains(&name) => Self::Program,
            None => Self::Whole,
        }
    }
}

/// The class of a family whose files name none.
pub(crate) fn of_model_type(model_type: &str) -> Option<&'static TokenizerClass> {
    let (name, _) = OF_MODEL_TYPES.iter().find(|(_, types)| types.contains(&model_type))?;
    CLASSES.iter().find(|class| class.name == *name)
}
