//! Enums that know all their variants.

/// An enum with a constant `ALL`, made of the one list of its variants, so that no other list of them
/// can differ from it.
macro_rules! listed {
    (
        $(#[$meta:meta])*
        $visibility:vis enum $name:ident {
            $($(#[$variant_meta:meta])* $variant:ident $(= $number:literal)?,)+
        }
    ) => {
        $(#[$meta])*
        $visibility enum $name {
            $($(#[$variant_meta])* $variant $(= $number)?,)+
        }

        impl $name {
            /// All of them, in the order of their numbers.
            $visibility const ALL: [Self; [$(stringify!($variant)),+].len()] =
                [$(Self::$variant),+];
        }
    };
}
