import java.io.FileInputStream;
import java.net.URI;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509TrustManager;

/** What Java trusts: `server URL` is fetched, the chain of `client FILE` is judged as a server judges a client's. */
public class Trusts {
    public static void main(String[] words) throws Exception {
        if (words[0].equals("server")) {
            URI.create(words[1]).toURL().openStream().readAllBytes();
            return;
        }
        var read = CertificateFactory.getInstance("X.509").generateCertificates(new FileInputStream(words[1]));
        var factory = TrustManagerFactory.getInstance("PKIX");
        factory.init((KeyStore) null);
        var manager = (X509TrustManager) factory.getTrustManagers()[0];
        manager.checkClientTrusted(read.toArray(new X509Certificate[0]), "UNKNOWN");
    }
}
