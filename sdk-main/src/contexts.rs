//! What is known of the application, the machine and the system it runs on.
