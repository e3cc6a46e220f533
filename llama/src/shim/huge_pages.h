// Huge pages for the weights and the cache. Decoding reads all weights for each token, and attention the whole cache; finding
// the memory of each 4 KiB takes a part of that time. On Linux, with pages of 2 MiB, a token takes about a seventh less, and the
// first token after 6,000 others a ninth (SmolLM2, two cores).
//
// The memory is copied once, at 1 to 4 ms for each megabyte, which is bounded: a small model is moved whole, and the rest of a
// large one is left to the system, which moves it in the background where it does that. Elsewhere than on Linux and Android nothing
// happens. A kernel makes these pages whatever its setting for pages that no program asks for.
#pragma once

#include "llama.h"

namespace ns {

// Moves the weights that the processor computes, and that are in private memory, to huge pages, for a second at most and as far as
// the system has some. Asks `go_on` before each piece, which takes some ten milliseconds, and returns whether it always returned true.
bool use_huge_pages(const llama_model * model, llama_progress_callback go_on, void * data);
// The same for the cache of a context, for less than half a second.
void use_huge_pages(const llama_context * context);

} // namespace ns
