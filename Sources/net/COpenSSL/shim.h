// OpenSSL deprecates the low-level SHA-1 and SHA-256 functions in favour of EVP. EVP allocates and
// takes locks at every use. The low-level state is a plain value: an HMAC key is prepared once and
// copied without allocation or lock.
#define OPENSSL_SUPPRESS_DEPRECATED

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

// Swift imports no function macros, no macros with casts and no macros made of expressions. The
// functions below wrap them.

// The two functions below build their keys in C. OSSL_PARAM_BLD keeps the pointers that it
// receives, including names, until OSSL_PARAM_BLD_to_param. A String that Swift passes does not
// live that long.

static inline EVP_PKEY *confab_public_key(const char *type, OSSL_PARAM_BLD *builder) {
    EVP_PKEY *key = NULL;
    OSSL_PARAM *parameters = OSSL_PARAM_BLD_to_param(builder);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    if (parameters && context && EVP_PKEY_fromdata_init(context) == 1) {
        if (EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, parameters) != 1) {
            EVP_PKEY_free(key);
            key = NULL;
        }
    }
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(parameters);
    return key;
}

/// Creates an RSA key from big-endian numbers. Returns NULL if they are not valid.
static inline EVP_PKEY *confab_rsa_public_key(
    const unsigned char *modulus, int modulusBytes,
    const unsigned char *exponent, int exponentBytes
) {
    EVP_PKEY *key = NULL;
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    BIGNUM *n = BN_bin2bn(modulus, modulusBytes, NULL);
    BIGNUM *e = BN_bin2bn(exponent, exponentBytes, NULL);
    if (builder && n && e && OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n)
        && OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e)) {
        key = confab_public_key("RSA", builder);
    }
    BN_free(e);
    BN_free(n);
    OSSL_PARAM_BLD_free(builder);
    return key;
}

/// Creates a P-256 key from an encoded point (SEC 1 section 2.3.3). Returns NULL if the point is
/// not on the curve.
static inline EVP_PKEY *confab_p256_public_key(const unsigned char *point, size_t pointBytes) {
    EVP_PKEY *key = NULL;
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    if (builder
        && OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0)
        && OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point, pointBytes)) {
        key = confab_public_key("EC", builder);
    }
    OSSL_PARAM_BLD_free(builder);
    return key;
}

static inline long confab_set_min_proto_tls12(SSL_CTX *context) {
    return SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
}

static inline long confab_set_mode(SSL_CTX *context, long mode) {
    return SSL_CTX_set_mode(context, mode);
}

static inline void confab_set_read_ahead(SSL_CTX *context) {
    SSL_CTX_set_read_ahead(context, 1);
}

static inline long confab_set_session_cache_off(SSL_CTX *context) {
    return SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
}

static inline uint64_t confab_set_options(SSL_CTX *context) {
    uint64_t options =
        SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF;
    return SSL_CTX_set_options(context, options);
}

static inline long confab_set_server_name(SSL *connection, const char *name) {
    return SSL_set_tlsext_host_name(connection, name);
}
