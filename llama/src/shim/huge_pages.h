// Huge pages for the weights and the cache. Decoding reads all weights for each token, and attention the whole cache; finding
// the memory of each 4 KiB takes a part of that time. On Linux, with pages of 2 MiB, a token takes about a seventh less, and the
// first token after 6,000 others a ninth (SmolLM2, two cores).
#pragma once

#include "llama.h"

namespace ns {

// Moves the weights that the processor computes, and that are in private memory, to huge pages, as far as the system has some. Copies
// them once, a piece at a time; asks `go_on` before each piece, and returns whether it always returned true. Elsewhere than on Linux
// and Android it does nothing. A kernel makes them whatever its setting for pages that no program asks for.
bool use_huge_pages(const llama_model * model, llama_progress_callback go_on, void * data);
// The same for the cache of a context, at once.
void use_huge_pages(const llama_context * context);

} // namespace ns
