package android.os

/** A stub of Android's class: the host's JVM has none. */
class Message
