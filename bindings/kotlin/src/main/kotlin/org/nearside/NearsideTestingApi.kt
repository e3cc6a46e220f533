/*
 * The marker of what every build contains and only tests call: scripted answers, and counters of the library's own tests.
 */
package org.nearside

/** Marks what is for tests. Apps use `nearside-testing`, which opts in; without it a use does not compile. */
@RequiresOptIn("This is for tests: use `scripted` of nearside-testing.", RequiresOptIn.Level.ERROR)
@Retention(AnnotationRetention.BINARY)
@Target(AnnotationTarget.CLASS, AnnotationTarget.FUNCTION)
annotation class NearsideTestingApi
