//! The list of a vendor's products, a TOML file that people may edit.

use serde::{Deserialize, Serialize};

use crate::files;
use crate::{Result, Shown};

/// A product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Product {
    /// Its number.
    pub code: u32,
    /// Its name.
    pub name: String,
}

/// The file: one `[[product]]` for each.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Products {
    #[serde(default)]
    product: Vec<Product>,
}

/// Reads the file.
pub fn parse(bytes: &[u8]) -> Result<Vec<Product>> {
    let products: Products = toml::from_str(files::text(bytes)?)
        .map_err(|error| Shown::usage(error, "Mend the file."))?;
    Ok(products.product)
}

/// The file of these products.
pub fn write(products: Vec<Product>) -> Result<String> {
    toml::to_string(&Products { product: products })
        .map_err(|error| Shown::usage(error, "Use a plain name."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_is_no_text_is_refused_before_a_guess_is_written_back() {
        let latin = b"[[product]]\ncode = 1\nname = \"Gl\xfcck\"\n";
        assert_eq!(parse(latin).unwrap_err().exit(), 2);
        let product = Product { code: 1, name: "Glück".into() };
        let written = write(vec![product.clone()]).unwrap();
        assert_eq!(parse(written.as_bytes()).unwrap(), [product]);
    }
}
